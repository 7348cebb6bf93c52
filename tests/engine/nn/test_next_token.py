import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc_desktop.engine.nn.language_model import LanguageModel, Shape
from aigc_desktop.engine.nn.next_token import Sampling, draw, filter_logits, write_texts

END = 0


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    torch.set_num_threads(1)
    model = LanguageModel(Shape(20, 2, 32, 2, 16))
    torch.nn.init.normal_(model.embedding.weight, std=0.1)
    for block in model.blocks:
        torch.nn.init.normal_(block.feed_forward.out.weight, std=2.0)
    return model.eval()


def probabilities(logits, sampling, seen=None):
    seen = torch.zeros(logits.shape, dtype=torch.bool) if seen is None else seen
    return filter_logits(logits, seen, sampling).softmax(-1)


LOGITS = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log()


def test_top_k_keeps_the_likeliest():
    assert probabilities(LOGITS, Sampling(top_k=2))[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0, 0])


def test_top_p_keeps_the_smallest_set_with_the_share():
    assert probabilities(LOGITS, Sampling(top_p=0.7))[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0, 0])
    assert probabilities(LOGITS, Sampling(top_p=0.01))[0].tolist() == pytest.approx([1, 0, 0, 0])


def test_temperature_sharpens_and_flattens():
    assert probabilities(LOGITS, Sampling(temperature=0.5))[0, 0] == pytest.approx(0.25 / 0.345, abs=1e-4)
    assert probabilities(LOGITS, Sampling(temperature=100.0))[0].tolist() == pytest.approx([0.25] * 4, abs=0.02)


def test_repetition_penalty_makes_seen_tokens_less_likely_whatever_the_sign():
    seen = torch.tensor([[True, False, False, True]])
    logits = torch.tensor([[2.0, 2.0, -1.0, -1.0]])
    after = filter_logits(logits, seen, Sampling(repetition_penalty=2.0))
    assert after[0].tolist() == [1.0, 2.0, -1.0, -2.0]


def test_temperature_zero_takes_the_likeliest():
    logits = filter_logits(torch.tensor([[0.1, 0.3, 0.2]]), torch.zeros(1, 3).bool(), Sampling(temperature=0.0))
    assert draw(logits, torch.tensor([0.99]), Sampling(temperature=0.0)).tolist() == [1]


def test_draws_follow_the_distribution():
    uniform = torch.linspace(0, 1, 10_001)[:-1]
    drawn = draw(LOGITS.expand(10_000, 4), uniform, Sampling())
    assert (drawn.bincount(minlength=4) / 10_000).tolist() == pytest.approx([0.5, 0.25, 0.15, 0.1], abs=1e-3)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=30), st.floats(0, 1, exclude_max=True), st.floats(0.05, 3),
    st.floats(0.01, 1), st.integers(0, 40), st.floats(1, 2),
)  # fmt: skip
def test_what_is_ruled_out_is_never_drawn(values, uniform, temperature, top_p, top_k, penalty):
    sampling = Sampling(temperature, top_p, top_k, penalty)
    logits = filter_logits(torch.tensor([values]), torch.zeros(1, len(values)).bool(), sampling)
    token = draw(logits, torch.tensor([uniform]), sampling)
    assert logits[0, token] > -torch.inf


def written(model, seeds, most=12, prompt=(), sampling=None):
    texts = {}
    for state in write_texts(model, list(prompt), seeds, END, sampling or Sampling(most_tokens=most)):
        texts |= state.tokens
    return texts


def test_a_text_made_alone_is_the_one_made_among_others(model):
    together = written(model, range(3, 23), most=40)
    assert len({tuple(tokens) for tokens in together.values()}) > 10
    for seed in (3, 8, 15, 22):
        assert written(model, [seed], most=40) == {seed: together[seed]}


def test_a_shorter_limit_gives_the_begin_of_the_same_text(model):
    longer, shorter = written(model, [5], most=40)[5], written(model, [5], most=9)[5]
    assert longer[: len(shorter)] == shorter


def test_texts_end_at_the_end_token_or_the_limit(model):
    texts = written(model, range(16), most=30)
    lengths = {len(tokens) for tokens in texts.values()}
    assert max(lengths) <= 30 and len(lengths) > 1
    assert all(END not in tokens for tokens in texts.values())


def test_writing_goes_on_beyond_the_context(model):
    texts = written(model, [1, 2], sampling=Sampling(most_tokens=50), prompt=range(1, 19))
    assert len(texts) == 2


def test_a_prompt_longer_than_the_context_counts_by_its_end(model):
    long = [3] * 50 + [4, 5, 6]
    assert written(model, [7], most=5, prompt=long)[7]


@torch.no_grad()
def test_greedy_writing_is_what_the_full_pass_says(model):
    tokens = [4, 9]
    texts = written(model, [0], sampling=Sampling(temperature=0.0, most_tokens=10), prompt=tokens)
    for token in texts[0]:
        assert model(torch.tensor([tokens]))[0, -1].argmax().item() == token
        tokens.append(token)


def test_gradients_stay_on_for_the_reader(model):
    for _state in write_texts(model, [], [0], END, Sampling(most_tokens=3)):
        assert torch.is_grad_enabled()
