import torch

from aigc_desktop.engine.nn.adaptive import AdaptiveProbability

FAKE = torch.linspace(-1, 1, 16)


def after(real: torch.Tensor, steps: int, fake: torch.Tensor = FAKE, most: float = 0.8) -> AdaptiveProbability:
    adaptive = AdaptiveProbability(most, span=1600)
    for _step in range(steps):
        adaptive.observe(real, fake)
    return adaptive


def test_it_rises_when_real_pictures_are_told_apart_and_falls_when_not():
    adaptive = after(FAKE + 5, 60)
    assert adaptive.r > 0.9 and 0.3 < float(adaptive.probability) <= 0.6
    top = float(adaptive.probability)
    for _step in range(60):
        adaptive.observe(FAKE, FAKE)
    assert abs(float(adaptive.r)) < 0.1 and float(adaptive.probability) < top


def test_it_stays_between_nothing_and_the_most():
    assert after(FAKE, 100).probability == 0
    assert after(FAKE + 5, 1000, most=0.5).probability == 0.5


def test_only_differences_of_scores_count():
    low, high = after(FAKE + 0.37, 20), after(FAKE + 100.37, 20, FAKE + 100)
    assert torch.allclose(low.r, high.r) and torch.allclose(low.probability, high.probability)


def test_scores_that_are_no_numbers_leave_it_usable():
    adaptive = after(torch.full((16,), torch.nan), 3)
    assert torch.isfinite(adaptive.r) and torch.isfinite(adaptive.probability)


def test_it_is_saved_and_loaded():
    adaptive = after(FAKE + 5, 30)
    fresh = AdaptiveProbability(0.8, 1600)
    fresh.load_state_dict(adaptive.state_dict())
    assert torch.equal(fresh.probability, adaptive.probability) and torch.equal(fresh.r, adaptive.r)
