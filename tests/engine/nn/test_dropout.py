import pytest
import torch

from aigc_desktop.engine.nn.dropout import QuickDropout


def test_the_quick_dropout_drops_its_share_keeps_the_mean_and_repeats_with_its_seed():
    layer, x = QuickDropout(0.2), torch.ones(301, 999, requires_grad=True)
    torch.manual_seed(4)
    y = layer(x)
    y.sum().backward()
    assert (y == 0).float().mean().item() == pytest.approx(0.2, abs=0.005)
    assert y.mean().item() == pytest.approx(1, abs=0.005) and torch.equal(x.grad, y.detach())
    torch.manual_seed(4)
    assert torch.equal(layer(x), y) and not torch.equal(layer(x), y)
    assert torch.equal(layer.eval()(x), x)
    assert abs(torch.corrcoef(torch.stack((y[:, :-1].flatten(), y[:, 1:].flatten())))[0, 1].item()) < 0.01
