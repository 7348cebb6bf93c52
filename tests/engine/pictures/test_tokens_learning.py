import math

import pytest
import torch

from aigc_desktop.engine.nn.fsq import Fsq
from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer, TokenizerShape
from aigc_desktop.engine.nn.token_drawing import (
    Drawing,
    draw_masked,
    draw_raster,
    draw_tokens,
    halton_order,
    hide,
    left_after,
    mask_shares,
)
from aigc_desktop.engine.nn.token_transformer import TokenTransformer, TransformerShape
from aigc_desktop.engine.pictures.common import seeded
from aigc_desktop.engine.pictures.tokens_setup import LEVELS, SIDES

LEVEL_SETS = [(2,), (3, 3), *LEVELS.values()]


@pytest.mark.parametrize("levels", LEVEL_SETS)
def test_codes_and_numbers_are_each_others_inverse(levels):
    fsq = Fsq(levels)
    numbers = torch.arange(fsq.count).view(1, 1, -1)
    codes = fsq.codes(numbers)
    assert fsq.count == math.prod(levels) and codes.shape == (1, len(levels), 1, fsq.count)
    assert torch.equal(fsq.numbers(codes), numbers)
    assert codes.min() == -1 and codes.max() == 1
    assert len(codes[0, :, 0].T.unique(dim=0)) == fsq.count


def test_every_level_comes_about_equally_often_of_normal_numbers():
    fsq = Fsq((8, 5))
    shares = fsq.numbers(fsq(torch.randn(1, 2, 40_000))).flatten().bincount(minlength=40) / 40_000
    assert shares.min() > 0.6 / 40 and shares.max() < 1.6 / 40


def test_numbers_beyond_all_limits_stay_on_the_grid_and_gradients_pass():
    fsq = Fsq((8, 6, 5))
    far = torch.tensor([1e9, -1e9]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    assert fsq.numbers(fsq(far)).flatten().tolist() == [239, 0]
    z = torch.zeros(1, 3, 2, 2, requires_grad=True)
    fsq(z).sum().backward()
    assert bool((z.grad > 0).all())
    with pytest.raises(ValueError, match="levels"):
        Fsq((8, 1))


@pytest.mark.parametrize("size", sorted(SIDES))
def test_a_tokenizer_gives_one_token_for_each_square(size):
    shape = TokenizerShape(size, SIDES[size], 8, 1, (8, 6, 5))
    tokenizer, images = PictureTokenizer(shape).eval(), torch.rand(1, 3, size, size) * 2 - 1
    with torch.no_grad():
        tokens = tokenizer.tokens(images)
        assert tokens.shape == (1, SIDES[size] ** 2) and tokens.min() >= 0 and tokens.max() < 240
        assert torch.allclose(tokenizer.pictures(tokens), tokenizer(images), atol=1e-5)
    assert TokenizerShape.of({**shape.__dict__, "levels": [8, 6, 5]}) == shape


@pytest.mark.parametrize("side", [1, 4, 8, 16])
def test_halton_places_come_once_each_and_are_spread(side):
    order = halton_order(side)
    assert sorted(order.tolist()) == list(range(side**2))
    if side >= 8:
        quarters = {(int(i) // side * 2 // side, int(i) % side * 2 // side) for i in order[:6]}
        assert len(quarters) == 4


@pytest.mark.parametrize(("count", "steps"), [(64, 12), (64, 64), (64, 100), (5, 3), (1, 8), (256, 16)])
def test_each_step_leaves_fewer_places_and_the_last_none(count, steps):
    left = left_after(count, steps)
    assert len(left) == min(steps, count) and left[-1] == 0
    assert all(after < before for before, after in zip([count, *left], left, strict=False))
    if count == 64 and steps == 12:
        assert count - left[0] < count / steps < left[-2]


def test_hidden_places_are_as_many_as_said_and_at_least_one():
    tokens = torch.randint(0, 9, (3, 16))
    shown = hide(tokens, torch.tensor([0.0, 0.5, 1.0]), 9, seeded(1))
    assert (shown == 9).sum(1).tolist() == [1, 8, 16]
    assert torch.equal(shown[shown != 9], tokens[shown != 9])
    shares = mask_shares(2000, torch.device("cpu"))
    assert shares.min() >= 0 and shares.max() <= 1 and abs(shares.mean() - 2 / math.pi) < 0.03


def network(masked: bool, classes: int = 3, side: int = 4) -> TokenTransformer:
    torch.manual_seed(0)
    made = TokenTransformer(TransformerShape(20, side, 2, 16, 2, classes, masked)).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def test_a_causal_network_sees_nothing_of_what_comes_and_a_masked_one_sees_all():
    tokens, labels = torch.randint(0, 20, (1, 16)), torch.tensor([1])
    other = tokens.clone()
    other[0, 9] = (other[0, 9] + 1) % 20
    causal, both = network(False), network(True)
    same = (causal(tokens[:, :-1], labels) - causal(other[:, :-1], labels)).abs().amax((0, 2)) < 1e-6
    assert same[:10].all() and not same[10:].any()
    assert ((both(tokens, labels) - both(other, labels)).abs().amax((0, 2)) > 1e-6).all()


def test_a_cache_changes_nothing():
    causal, tokens, labels = network(False), torch.randint(0, 20, (2, 15)), torch.tensor([0, 3])
    whole, cache = causal(tokens, labels), causal.new_cache(2)
    pieces = [causal(tokens[:, :0], labels, cache)]
    pieces += [causal(tokens[:, place : place + 1], labels, cache) for place in range(15)]
    assert torch.allclose(torch.cat(pieces, 1), whole, atol=1e-5)


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_row_by_row_each_token_is_the_likeliest_after_those_before_it(guidance):
    causal, anything = network(False), 3
    drawn = draw_raster(causal, [1], Drawing(temperature=0, guidance=guidance), [seeded(0)])
    told = causal(drawn[:, :-1], torch.tensor([1]))
    pushed = torch.lerp(causal(drawn[:, :-1], torch.tensor([anything])), told, guidance)
    middle = torch.tensor([0.1 <= place / 16 < 0.8 for place in range(16)])
    assert torch.equal(torch.where(middle[:, None], pushed, told).argmax(-1), drawn)


def test_guidance_pushes_from_a_tenth_to_eight_tenths_of_the_places(monkeypatch):
    both, rows = network(True), []
    forward = both.forward
    monkeypatch.setattr(both, "forward", lambda t, labels, *rest: rows.append(len(labels)) or forward(t, labels, *rest))
    draw_masked(both, [1], Drawing(steps=16), [seeded(2)])
    assert rows == 2 * [1] + 11 * [2] + 3 * [1]


@pytest.mark.parametrize("order", ["halton", "confidence"])
def test_masked_drawing_fills_every_place_once_and_keeps_what_is_given(order, monkeypatch):
    both, seen = network(True), []
    known = torch.full((1, 16), both.unknown)
    known[0, 3:7] = torch.tensor([5, 0, 19, 7])
    forward = both.forward
    monkeypatch.setattr(both, "forward", lambda tokens, *rest: seen.append(tokens.clone()) or forward(tokens, *rest))
    drawn = draw_masked(both, [1], Drawing(steps=5, guidance=1.0, order=order), [seeded(2)], known)
    assert len(seen) == 5 and bool((drawn < 20).all()) and torch.equal(drawn[0, 3:7], known[0, 3:7])
    for before, after in zip(seen, [*seen[1:], drawn], strict=True):
        fixed = before != both.unknown
        assert torch.equal(before[fixed], after[fixed])
        assert (after == both.unknown).sum() < (before == both.unknown).sum()
    nothing_left = draw_masked(both, [1], Drawing(), [seeded(2)], drawn)
    assert torch.equal(nothing_left, drawn) and len(seen) == 5


@pytest.mark.parametrize("order", ["halton", "confidence", None])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_pictures_drawn_side_by_side_are_those_drawn_alone(order, guidance):
    net, labels = network(order is not None), [1, 0, 3, 2]  # 3 is any class
    drawing = Drawing(steps=5, guidance=guidance, order=order or "halton")
    together = draw_tokens(net, labels, drawing, [seeded(seed) for seed in range(4)])
    alone = [draw_tokens(net, [label], drawing, [seeded(seed)]) for seed, label in enumerate(labels)]
    assert torch.equal(together, torch.cat(alone))


def test_the_seed_decides_and_guidance_pushes_towards_the_class():
    both = network(True)

    def drawn(seed=0, label=1, guidance=1.0, temperature=1.0):
        drawing = Drawing(steps=4, guidance=guidance, temperature=temperature)
        return draw_masked(both, [label], drawing, [seeded(seed)])

    assert torch.equal(drawn(), drawn()) and not torch.equal(drawn(), drawn(seed=1))
    assert not torch.equal(drawn(), drawn(guidance=4.0))
    assert torch.equal(drawn(label=3), drawn(label=3, guidance=4.0))  # any class: there is nothing to push from

    def surprise(guidance):
        found = [drawn(seed, guidance=guidance) for seed in range(12)]
        hidden = torch.full((1, 16), both.unknown)
        gain = both(hidden, torch.tensor([1])).log_softmax(-1) - both(hidden, torch.tensor([3])).log_softmax(-1)
        return sum(float(gain.gather(2, tokens[:, :, None]).sum()) for tokens in found)

    assert surprise(4.0) > surprise(1.0)
