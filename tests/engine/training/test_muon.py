import pytest
import torch

from aigc_desktop.engine.training import muon
from aigc_desktop.engine.training.muon import Muon, nearly_orthogonal


@pytest.mark.parametrize("shape", [(6, 6), (12, 4), (4, 12)])
@pytest.mark.parametrize(("pays", "tolerance"), [(False, 1e-5), (True, 0.02)])
def test_updates_have_the_precision_that_is_fast(monkeypatch, shape, pays, tolerance):
    """In bfloat16 a processor without instructions for it takes minutes for one step of a wide model."""
    monkeypatch.setattr(muon, "bfloat16_pays", lambda kind: pays)
    torch.manual_seed(0)
    weights = torch.nn.Parameter(torch.randn(shape))
    before = weights.detach().clone()
    weights.grad = torch.randn(shape)
    Muon([weights], lr=0.1).step()
    rows, columns = shape
    direction = nearly_orthogonal(weights.grad.double(), torch.float64) * max(1.0, rows / columns) ** 0.5
    torch.testing.assert_close(before - weights, 0.1 * direction.float(), rtol=0, atol=tolerance)
    exact = torch.allclose(before - weights, 0.1 * direction.float(), rtol=0, atol=1e-5)
    assert exact != pays


def test_it_goes_where_torchs_own_goes():
    torch.manual_seed(0)
    start = torch.randn(8, 24)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    optimizers = (Muon([ours], lr=0.02, weight_decay=0.3), torch.optim.Muon([theirs], lr=0.02, weight_decay=0.3))
    for _step in range(5):
        gradient = torch.randn(8, 24)
        for weights, optimizer in zip((ours, theirs), optimizers, strict=True):
            weights.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=0.02, atol=0.01)  # theirs has three digits


def test_singular_values_come_near_one():
    values = torch.linalg.svdvals(nearly_orthogonal(torch.randn(16, 40), torch.float32))
    assert values.min() > 0.5 and values.max() < 1.5
