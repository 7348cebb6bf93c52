"""Attention by plain products gives what torch's kernel gives, with its gradients."""

import pytest
import torch
import torch.nn.functional as F

from aigc_desktop.engine.nn import attend as module
from aigc_desktop.engine.nn.attend import attend

B, H, T, S, D = 3, 4, 6, 9, 8


def random(*shape, kind=torch.float32):
    return torch.randn(*shape, dtype=kind, requires_grad=True)


def values(seed, queries=T, heads=H, kind=torch.float32):
    torch.manual_seed(seed)
    return random(B, H, queries, D, kind=kind), random(B, heads, S, D, kind=kind), random(B, heads, S, D, kind=kind)


MASKS = {
    "none": None,
    "bool": torch.arange(S).expand(T, S) <= 2 + torch.arange(T)[:, None],
    "rows": (torch.arange(S) < torch.tensor([2, 5, 9])[:, None])[:, None, None],
    "added": torch.linspace(-2, 2, T * S).view(1, 1, T, S),
    "per_head": torch.linspace(-2, 2, H * T * S).view(1, H, T, S),
}


@pytest.fixture
def fused(monkeypatch):
    """Return the result of torch's kernel, and forbid it afterwards."""
    kernel = F.scaled_dot_product_attention

    def forbidden(*told, **named):
        raise AssertionError("the fused kernel was taken")

    monkeypatch.setattr(module.F, "scaled_dot_product_attention", forbidden)
    return kernel


@pytest.mark.parametrize("most", [1, 100, 1_000_000])  # heads one by one, some, all together
@pytest.mark.parametrize("mask", MASKS)
def test_plain_products_equal_the_kernel(monkeypatch, fused, mask, most):
    monkeypatch.setattr(module, "_SCORES", most)
    ours, theirs = values(1), values(1)
    mine, its = attend(*ours, MASKS[mask], scale=0.3), fused(*theirs, MASKS[mask], scale=0.3)
    assert torch.allclose(mine, its, atol=1e-5)
    told = torch.randn_like(mine)
    for a, b in zip(torch.autograd.grad(mine, ours, told), torch.autograd.grad(its, theirs, told), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("kept", [0, 1_000_000])
@pytest.mark.parametrize("most", [1, 200, 1_000_000])
@pytest.mark.parametrize("block", [1, 4, 128])
def test_the_past_alone_is_seen(monkeypatch, fused, block, most, kept):
    for name, value in (("_QUERIES", block), ("_SCORES", most), ("_KEPT", kept)):
        monkeypatch.setattr(module, name, value)
    ours, theirs = values(2, queries=S), values(2, queries=S)
    mine, its = attend(*ours, causal=True), fused(*theirs, is_causal=True)
    assert torch.allclose(mine, its, atol=1e-5)
    told = torch.randn_like(mine)
    for a, b in zip(torch.autograd.grad(mine, ours, told), torch.autograd.grad(its, theirs, told), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("kind", ["none", "bf16"])
def test_either_library_of_products_fills_the_blocks(fused, kind):
    """oneDNN, where it rounds to bfloat16, stays near."""
    torch.manual_seed(9)
    ours = [torch.randn(2, 2, 160, 16, requires_grad=True) for _part in range(3)]
    matmul, kept = torch.backends.mkldnn.matmul, torch.backends.mkldnn.matmul.fp32_precision
    its = torch.autograd.grad(fused(*ours, is_causal=True).square().sum(), ours)
    try:
        matmul.fp32_precision = kind
        mine = torch.autograd.grad(attend(*ours, causal=True).square().sum(), ours)
    finally:
        matmul.fp32_precision = kept
    assert all(torch.allclose(a, b, atol=0.05 if kind == "bf16" else 1e-4) for a, b in zip(mine, its, strict=True))


@pytest.mark.parametrize("kept, times", [(0, 2), (1_000_000, 1)])
def test_few_scores_are_kept_for_the_gradient_and_more_made_anew(monkeypatch, fused, kept, times):
    monkeypatch.setattr(module, "_KEPT", kept)
    made, weights = [], module._weights
    monkeypatch.setattr(module, "_weights", lambda *told: made.append(1) or weights(*told))
    q, k, v = values(10)
    attend(q, k, v).sum().backward()
    assert len(made) == times


def test_heads_share_keys(fused):
    q, k, v = values(3, heads=2)
    assert torch.allclose(attend(q, k, v), fused(q, k, v, enable_gqa=True), atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_hold_against_differences(monkeypatch, fused, causal):
    torch.manual_seed(0)
    monkeypatch.setattr(module, "_QUERIES", 4)
    q, k, v = (part.detach().double().requires_grad_() for part in values(4, queries=S if causal else T))
    module._PLACES[torch.float64] = 512
    try:
        assert torch.autograd.gradcheck(lambda *told: attend(*told, causal=causal), (q, k, v))
    finally:
        del module._PLACES[torch.float64]


def test_a_query_that_sees_nothing_gives_numbers(fused):
    q, k, v = values(5)
    out = attend(q, k, v, torch.zeros(T, S, dtype=torch.bool))
    assert torch.isfinite(out).all()
    assert all(torch.isfinite(grad).all() for grad in torch.autograd.grad(out.sum(), (q, k, v)))


def test_bfloat16_stays_near_float32(fused):
    exact = attend(*values(6))
    torch.manual_seed(6)
    rounded = attend(*(part.detach().bfloat16() for part in values(6)))
    assert rounded.dtype == torch.bfloat16 and torch.allclose(rounded.float(), exact, atol=0.03)


def test_autocast_decides_the_numbers(fused):
    q, k, v = values(8)
    with torch.autocast("cpu", torch.bfloat16):
        ours = attend(q, k, v.bfloat16(), MASKS["added"])
        theirs = fused(q, k, v.bfloat16(), MASKS["added"])
    assert ours.dtype == theirs.dtype == torch.bfloat16
    assert torch.allclose(ours.float(), theirs.float(), atol=0.03)
    assert all(grad.dtype == torch.float32 for grad in torch.autograd.grad(ours.float().sum(), (q, k, v)))


@pytest.mark.parametrize("case", ["places", "dropout", "learned"])
def test_the_kernel_takes_the_rest(monkeypatch, case):
    taken = []
    kernel = F.scaled_dot_product_attention
    monkeypatch.setattr(
        module.F, "scaled_dot_product_attention", lambda *told, **named: taken.append(1) or kernel(*told, **named)
    )
    q, k, v = values(7)
    mask = torch.zeros(T, S, requires_grad=True) if case == "learned" else None
    if case == "places":
        monkeypatch.setattr(module, "_PLACES", {torch.float32: S - 1})
    out = attend(q, k, v, mask, dropout=0.1 if case == "dropout" else 0.0)
    assert taken and out.shape == q.shape
