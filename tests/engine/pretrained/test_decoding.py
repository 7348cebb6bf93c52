"""Writing with a loaded network: prompts side by side, ends, guides, filters."""

import pytest
import torch

from aigc_desktop.engine.nn.next_token import Sampling, filter_logits
from aigc_desktop.engine.pretrained.decoding import Ask, Rules, alike, decode, draw_tokens
from aigc_desktop.engine.pretrained.llama import Llama, shape_of
from aigc_desktop.engine.pretrained.tiny import CONFIG

GREEDY = Sampling(temperature=0)
NO_END = Rules(GREEDY, frozenset())


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = Llama(shape_of(CONFIG)).eval().requires_grad_(False)
    for weight in network.parameters():
        weight.data += 0.2 * torch.randn_like(weight)
    return network


def written(network, asks, rules):
    states = list(decode(network, asks, rules))
    assert [state.done for state in states] == [False] * (len(states) - 1) + [True]
    return states[-1].tokens


def by_hand(network, prompt, count):
    tokens = list(prompt)
    for _step in range(count):
        with torch.no_grad():
            tokens.append(int(network.lm_head(network(torch.tensor([tokens])))[0, -1].argmax()))
    return tokens[len(prompt) :]


def test_prompts_of_different_lengths_write_what_each_would_alone(network):
    prompts = [(5, 6, 7), (9,), tuple(range(20, 60)), (9, 8)]
    made = written(network, [Ask(prompt, seed, 12) for seed, prompt in enumerate(prompts)], NO_END)
    assert made == {seed: by_hand(network, prompt, 12) for seed, prompt in enumerate(prompts)}


def test_a_shared_prompt_longer_than_one_reading_is_read_right(network, monkeypatch):
    monkeypatch.setattr("aigc_desktop.engine.pretrained.decoding._READ_AT_ONCE", 16)
    prompt = tuple(range(40))
    made = written(network, [Ask(prompt, seed, 6) for seed in range(3)], NO_END)
    assert made[0] == made[1] == made[2] == by_hand(network, prompt, 6)


@pytest.mark.parametrize("at_once", [8, 30, 512])
def test_many_texts_of_all_lengths_come_and_go_without_a_mix_up(network, monkeypatch, at_once):
    monkeypatch.setattr("aigc_desktop.engine.pretrained.decoding._READ_AT_ONCE", at_once)
    generator = torch.Generator().manual_seed(1)
    asks = []
    for seed in range(24):
        length, most = torch.randint(1, 24, (2,), generator=generator).tolist()
        asks.append(Ask(tuple(torch.randint(3, 60, (length,), generator=generator).tolist()), seed, most))
    made = written(network, asks, NO_END)
    assert made == {ask.seed: by_hand(network, ask.prompt, ask.most) for ask in asks}


def test_groups_hold_all_rows_once_and_are_no_larger_than_allowed():
    lengths = [1, 1, 2, 3, 5, 8, 8, 13, 40]
    groups = list(alike(lengths, 16))
    assert [row for group in groups for row in range(len(lengths))[group]] == list(range(len(lengths)))
    assert all(len(lengths[group]) == 1 or max(lengths[group]) * len(lengths[group]) <= 16 for group in groups)


def test_guides_of_rows_with_one_prompt_do_not_touch_each_other(network):
    vocab = torch.arange(CONFIG["vocab_size"])
    rules = Rules(GREEDY, frozenset(), guide=lambda seed, _tokens: vocab % 3 == seed)
    made = written(network, [Ask((1,), seed, 10 + seed) for seed in range(3)], rules)
    assert all(token % 3 == seed for seed, tokens in made.items() for token in tokens)


def test_texts_end_at_end_tokens_and_limits_while_others_go_on(network):
    prompt = (1, 2, 3)
    free = by_hand(network, prompt, 20)
    end = next(token for place, token in enumerate(free) if place > 2 and token not in free[:place])
    asks = [Ask(prompt, 0, 20), Ask((4, 5), 1, 20), Ask(prompt, 2, 2)]
    made = written(network, asks, Rules(GREEDY, frozenset([end])))
    assert made[0] == free[: free.index(end)]
    assert made[2] == free[:2]
    other = by_hand(network, (4, 5), 20)
    assert made[1] == (other[: other.index(end)] if end in other else other)


def test_a_seed_gives_the_same_text_and_another_seed_another(network):
    rules = Rules(Sampling(temperature=1.0, top_p=0.95), frozenset())
    asks = [Ask((1, 2), seed, 16) for seed in (3, 4)]
    first, again = written(network, asks, rules), written(network, asks, rules)
    assert first == again and first[3] != first[4]


def test_a_guide_allows_what_it_says(network):
    even = torch.arange(CONFIG["vocab_size"]) % 2 == 0
    rules = Rules(Sampling(temperature=1.5), frozenset(), guide=lambda _seed, _tokens: even)
    made = written(network, [Ask((1,), seed, 30) for seed in range(4)], rules)
    assert all(token % 2 == 0 for tokens in made.values() for token in tokens)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(), Sampling(temperature=0.7, top_p=0.9), Sampling(top_k=5), Sampling(top_k=7, top_p=0.5),
        Sampling(temperature=2.0, top_p=0.999), Sampling(repetition_penalty=1.5, top_p=0.8),
    ],
    ids=str,
)  # fmt: skip
def test_draws_follow_the_filtered_distribution(sampling):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2000, generator=generator) * 3
    seen = torch.zeros(1, 2000, dtype=torch.bool)
    seen[0, :50] = True
    wanted = filter_logits(logits.clone(), seen, sampling).softmax(-1)[0]
    uniform = torch.rand(20_000, generator=generator)
    drawn = draw_tokens(logits.expand(20_000, -1), uniform, sampling, seen.expand(20_000, -1))
    shares = torch.bincount(drawn, minlength=2000) / len(drawn)
    assert float((shares - wanted).abs().max()) < 0.015
    assert not bool((shares > 0)[wanted == 0].any())
