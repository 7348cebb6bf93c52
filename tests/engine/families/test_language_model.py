import pytest
import torch

from aigc_desktop.engine.families.gpt import GPTConfig, make_optimizers
from aigc_desktop.engine.nn.attention import SelfAttention, rotary_table
from aigc_desktop.engine.nn.language_model import LanguageModel, Shape
from aigc_desktop.engine.nn.lean import heads_of, relu_squared, rms_norm, rotate
from aigc_desktop.engine.training.muon import Muon

SHAPE = Shape(vocab=50, layers=2, width=32, heads=2, context=24)


@pytest.fixture
def model():
    """A model whose output projections are not zero, so that every part matters."""
    torch.manual_seed(0)
    model = LanguageModel(SHAPE)
    for block in model.blocks:
        torch.nn.init.normal_(block.attention.out.weight, std=0.2)
        torch.nn.init.normal_(block.feed_forward.out.weight, std=0.2)
    return model.eval()


def test_rotation_makes_products_depend_on_the_distance_alone():
    cos, sin = rotary_table(40, 16)
    q, k = torch.randn(2, 1, 1, 1, 16).unbind(0)

    def product(i, j):
        return (rotate(q, cos[i : i + 1], sin[i : i + 1]) * rotate(k, cos[j : j + 1], sin[j : j + 1])).sum()

    assert product(3, 7).item() == pytest.approx(product(23, 27).item(), abs=1e-5)
    assert product(9, 0).item() == pytest.approx(product(39, 30).item(), abs=1e-5)
    assert abs(product(3, 7).item() - product(3, 8).item()) > 1e-4


def test_rotation_keeps_lengths():
    cos, sin = rotary_table(12, 8)
    x = torch.randn(2, 3, 12, 8)
    torch.testing.assert_close(rotate(x, cos, sin).norm(dim=-1), x.norm(dim=-1))


def test_norm_gives_a_mean_square_of_one():
    x = 7 * torch.randn(4, 5, 32)
    torch.testing.assert_close(rms_norm(x).square().mean(-1), torch.ones(4, 5), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["norm", "rotation", "relu"])
def test_gradients_by_hand_are_right(name):
    cos, sin = (table.double() for table in rotary_table(5, 6))
    function = {"norm": rms_norm, "rotation": lambda x: rotate(x, cos, sin), "relu": relu_squared}[name]
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (x,))


def test_heads_are_parted_normalised_and_turned_with_their_gradient():
    torch.manual_seed(4)
    cos, sin = (table.double() for table in rotary_table(5, 6))
    x = torch.randn(2, 5, 3 * 2 * 6, dtype=torch.float64, requires_grad=True)
    q, k, v = x.view(2, 5, 3, 2, 6).permute(2, 0, 3, 1, 4)
    expected = rotate(rms_norm(q), cos, sin), rotate(rms_norm(k), cos, sin), v
    for part, known in zip(heads_of(x, 2, cos, sin), expected, strict=True):
        torch.testing.assert_close(part, known)
        assert part.is_contiguous()
    assert torch.autograd.gradcheck(lambda x: heads_of(x, 2, cos, sin), (x,))


@torch.no_grad()
def test_a_token_sees_the_past_only(model):
    tokens = torch.randint(50, (1, 20))
    changed = tokens.clone()
    changed[0, 11] = (changed[0, 11] + 1) % 50
    before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :11], after[:, :11])
    assert (before[:, 11:] - after[:, 11:]).abs().amax(-1).min() > 1e-4


@torch.no_grad()
def test_the_cache_gives_what_a_full_pass_gives(model):
    tokens = torch.randint(50, (3, 24))
    whole = model(tokens)
    cache = model.new_cache(3)
    torch.testing.assert_close(model(tokens[:, :7], cache)[:, 0], whole[:, 6], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model(tokens[:, 7:12], cache)[:, 0], whole[:, 11], rtol=1e-4, atol=1e-5)
    for t in range(12, 24):
        torch.testing.assert_close(model(tokens[:, t : t + 1], cache)[:, 0], whole[:, t], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_attention_equals_its_formula():
    torch.manual_seed(1)
    attention = SelfAttention(16, 2)
    torch.nn.init.normal_(attention.out.weight)
    x = torch.randn(1, 6, 16)
    cos, sin = rotary_table(6, 8)
    q, k, v = (part.view(6, 2, 8).transpose(0, 1) for part in attention.qkv(x)[0].chunk(3, dim=-1))
    q, k = rotate(rms_norm(q)[None], cos, sin)[0], rotate(rms_norm(k)[None], cos, sin)[0]
    scores = (q @ k.transpose(1, 2) / 8**0.5).masked_fill(torch.ones(6, 6).triu(1).bool(), -torch.inf)
    expected = attention.out((scores.softmax(-1) @ v).transpose(0, 1).reshape(6, 16))
    torch.testing.assert_close(attention(x, cos, sin)[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("gated", [False, True])
def test_a_new_model_is_nearly_uniform_and_counts_its_weights(gated):
    shape = Shape(50, 3, 48, 3, 16, gated)
    model = LanguageModel(shape)
    assert sum(p.numel() for p in model.parameters()) == shape.parameters
    tokens, targets = torch.randint(50, (2, 4, 16))
    assert model.loss(tokens, targets).item() == pytest.approx(torch.tensor(50.0).log().item(), abs=0.3)


def test_muon_gets_the_matrices_of_the_blocks_and_adamw_the_rest():
    model = LanguageModel(SHAPE)
    optimizers = make_optimizers(model, GPTConfig(dataset="x"))
    names = {id(p): name for name, p in model.named_parameters()}
    by = {
        kind: {names[id(p)] for group in optimizer.param_groups for p in group["params"]}
        for kind, optimizer in optimizers.items()
    }
    assert by["adamw"] == {"embedding.weight"}
    assert by["muon"] == set(names.values()) - {"embedding.weight"}
    assert type(optimizers["muon"]) is Muon
    assert optimizers["adamw"].defaults["fused"] is True


def test_dropout_works_in_training_only():
    torch.manual_seed(0)
    model = LanguageModel(Shape(50, 1, 32, 2, 8, dropout=0.5))
    tokens = torch.randint(50, (2, 8))
    assert not torch.equal(model(tokens), model(tokens))
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


def test_a_model_learns_a_rhyme_by_heart():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = LanguageModel(Shape(30, 2, 32, 2, 16))
    optimizers = make_optimizers(model, GPTConfig(dataset="x"))
    rows = torch.randint(30, (4, 17))
    for _step in range(60):
        loss = model.loss(rows[:, :-1], rows[:, 1:])
        loss.backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    assert loss.item() < 0.2
