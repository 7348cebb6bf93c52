"""Captions before the tokens of a picture: what is not there is not seen, whoever is beside and whatever is kept."""

import itertools

import pytest
import torch

from aigc_desktop.engine.nn.token_drawing import Drawing, draw_masked, draw_raster, draw_tokens
from aigc_desktop.engine.nn.token_transformer import TokenTransformer, TransformerShape
from aigc_desktop.engine.pictures.common import seeded

ANYTHING = 3
WORDS = torch.tensor([[4, 2, 0, 0, 0, 0], [1, 5, 6, 7, 2, 9], [0] * 6, [0, 3, 0, 8, 0, 0]], dtype=torch.int16)
LABELS = torch.tensor([1, ANYTHING, 0, ANYTHING])
both_ways = pytest.mark.parametrize("masked", [True, False])


def network(masked: bool, caption: int = 6) -> TokenTransformer:
    torch.manual_seed(0)
    shape = TransformerShape(20, 4, 2, 16, 2, ANYTHING, masked, words=9, caption=caption)
    made = TokenTransformer(shape).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def logits(net: TokenTransformer, words: torch.Tensor, labels: torch.Tensor = LABELS) -> torch.Tensor:
    tokens = torch.randint(0, 20, (1, 16 if net.shape.masked else 15), generator=seeded(0))
    return net(tokens.expand(len(words), -1), labels[: len(words)], caption=net.read(words))


@both_ways
def test_a_caption_its_order_and_each_of_its_words_matter(masked):
    net, label = network(masked), LABELS[:1]
    captions = ([4, 2], [2, 4], [4], [4, 2, 2], [])
    found = [
        logits(net, torch.tensor([caption + (6 - len(caption)) * [0]], dtype=torch.int16), label)
        for caption in captions
    ]
    for one, other in itertools.combinations(found, 2):
        assert ((one - other).abs().amax(-1) > 1e-4).all()


@both_ways
def test_places_without_a_word_change_nothing(masked):
    net = network(masked)
    short, long = logits(network(masked, caption=2), WORDS[:1, :2]), logits(net, WORDS[:1])
    assert short.shape == long.shape and torch.allclose(short, long, atol=1e-5)
    before = logits(net, WORDS)
    net.captions.words.weight[0] += 100.0  # what a place without a word holds
    assert torch.allclose(logits(net, WORDS), before, atol=1e-6)


@both_ways
def test_a_picture_does_not_depend_on_the_captions_beside_it(masked):
    net = network(masked)
    alone = torch.cat([logits(net, WORDS[i : i + 1], LABELS[i : i + 1]) for i in range(4)])
    assert torch.allclose(logits(net, WORDS), alone, atol=1e-5)


@both_ways
def test_without_captions_any_is_meant(masked):
    net = network(masked)
    tokens = torch.zeros(2, 15 + masked, dtype=torch.int64)
    told = net(tokens, LABELS[:2], caption=net.read(torch.zeros(2, 6, dtype=torch.int16)))
    assert torch.equal(net(tokens, LABELS[:2]), told)
    draw = draw_masked if masked else draw_raster
    drawn = [draw(net, [1], Drawing(4), [seeded(1)], words=words) for words in (None, torch.zeros(1, 6))]
    assert torch.equal(*drawn)


def test_a_causal_network_with_a_caption_sees_nothing_of_what_comes():
    net, tokens = network(False), torch.randint(0, 20, (1, 15))
    other = tokens.clone()
    other[0, 9] = (other[0, 9] + 1) % 20
    caption = net.read(WORDS[1:2])
    change = (net(tokens, LABELS[:1], caption=caption) - net(other, LABELS[:1], caption=caption)).abs().amax((0, 2))
    assert (change[:10] < 1e-6).all() and (change[10:] > 1e-6).all() and len(change) == 16


def test_a_cache_changes_nothing_with_captions():
    net, tokens = network(False), torch.randint(0, 20, (4, 15))
    caption, cache = net.read(WORDS), net.new_cache(4)
    whole = net(tokens, LABELS, caption=caption)
    pieces = [net(tokens[:, :0], LABELS, cache, caption)]
    pieces += [net(tokens[:, place : place + 1], LABELS, cache, caption) for place in range(15)]
    assert torch.allclose(torch.cat(pieces, 1), whole, atol=1e-5)


@both_ways
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_pictures_of_captions_drawn_side_by_side_are_those_drawn_alone(masked, guidance):
    net, drawing = network(masked), Drawing(steps=5, guidance=guidance)
    together = draw_tokens(net, LABELS.tolist(), drawing, [seeded(seed) for seed in range(4)], WORDS)
    alone = [
        draw_tokens(net, [int(LABELS[i])], drawing, [seeded(i)], WORDS[i : i + 1]) for i in range(4)
    ]  # fmt: skip
    assert torch.equal(together, torch.cat(alone))


@both_ways
def test_guidance_pushes_towards_a_caption_alone(masked):
    net = network(masked)

    def drawn(guidance, words):
        return draw_tokens(net, [ANYTHING], Drawing(4, guidance=guidance), [seeded(0)], words)

    assert not torch.equal(drawn(1.0, WORDS[1:2]), drawn(6.0, WORDS[1:2]))
    assert torch.equal(drawn(1.0, WORDS[2:3]), drawn(6.0, WORDS[2:3]))  # of nothing: there is nothing to push from


def test_a_shape_of_an_earlier_release_has_no_captions():
    net = TokenTransformer(TransformerShape(20, 4, 1, 16, 2))
    assert net.read(WORDS) is None and net.shape.before == 0
    assert not [name for name in net.state_dict() if name.startswith("captions")]
