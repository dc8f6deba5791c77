"""Sums of normalised convolutions in single precision are as close to double precision as torch's own batch norm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.layers.depthwise import DepthwiseConv
from archwright.layers.normed import Normed, channel_means, weighted_sum

Sum = Callable[[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]], Tensor]
"""Of maps, matrices and scales."""


def plainly(maps: Sequence[Tensor], matrices: Sequence[Tensor], scales: Sequence[Tensor]) -> Tensor:
    terms = [
        s * functional.batch_norm(functional.conv2d(d, m), None, None, training=True)
        for d, m, s in zip(maps, matrices, scales)
    ]
    return torch.stack(terms).sum(0)


def about(centres: Sequence[Tensor]) -> Sum:
    """Ours, of maps less these."""

    def run(maps: Sequence[Tensor], matrices: Sequence[Tensor], scales: Sequence[Tensor]) -> Tensor:
        terms = []
        for d, m, c in zip(maps, matrices, centres):
            conv, norm = (
                nn.Conv2d(m.shape[1], m.shape[0], 1, bias=False),
                nn.BatchNorm2d(len(m), affine=False).to(m.dtype),
            )
            del conv.weight
            conv.weight = m  # type: ignore[assignment]
            terms.append(Normed(d - c.to(d.dtype).view(-1, 1, 1), c.to(d.dtype), conv, norm))
        return weighted_sum(terms, scales, [], [])

    return run


def outcome(run: Sum, given: Sequence[Sequence[Tensor]], g: Tensor, dtype: torch.dtype) -> dict[str, list[Tensor]]:
    """The sum, and gradients of maps, matrices and scales."""
    maps, matrices, scales = ([x.to(dtype).requires_grad_() for x in part] for part in given)
    out = run([d.contiguous(memory_format=torch.channels_last) for d in maps], matrices, scales)
    found = torch.autograd.grad(out, [*maps, *matrices, *scales], g.to(dtype))
    n = len(maps)
    return {"sum": [out.detach()], "maps": [*found[:n]], "matrices": [*found[n:-n]], "scales": [*found[-n:]]}


def error(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    a, b = (torch.cat([x.double().flatten() for x in part]) for part in (found, wanted))
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("means", [0.0, 3.0, 30.0, 1000.0])
def test_single_precision_whatever_the_means(means: float) -> None:
    generator = torch.Generator().manual_seed(0)
    normal = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    offsets = [means * normal(8).sign() for _ in range(4)]
    given = [
        [(normal(4, 8, 16, 16) + c.view(-1, 1, 1)) for c in offsets], [normal(8, 8, 1, 1) / 3 for _ in range(4)],
        [normal(()).abs() for _ in range(4)],
    ]  # fmt: skip
    g = normal(4, 8, 16, 16) + 0.3
    wanted = outcome(plainly, given, g, torch.float64)
    plain = outcome(plainly, given, g, torch.float32)
    ours = outcome(about([c + 0.5 for c in offsets]), given, g, torch.float32)
    for name, exact in wanted.items():
        assert error(ours[name], exact) <= 3 * error(plain[name], exact), name


def test_centres_change_nothing_but_rounding() -> None:
    generator = torch.Generator().manual_seed(1)
    given = [
        [torch.randn(3, 4, 5, 5, generator=generator) for _ in range(2)],
        [torch.randn(4, 4, 1, 1, generator=generator)] * 2,
    ]
    given.append([torch.tensor(0.3), torch.tensor(0.7)])
    g = torch.randn(3, 4, 5, 5, generator=generator)
    wanted = outcome(plainly, given, g, torch.float64)
    found = outcome(about([torch.randn(4, generator=generator) for _ in range(2)]), given, g, torch.float64)
    for name, exact in wanted.items():
        assert error(found[name], exact) < 1e-12, name


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (5, 2, 1), (3, 1, 2), (5, 2, 2)])
def test_a_centred_convolution_is_the_convolution_less_its_centre(
    kernel: int, stride: int, dilation: int, last: bool
) -> None:
    torch.manual_seed(0)
    conv = DepthwiseConv(4, kernel, stride, dilation).double()
    x = torch.randn(2, 4, 12, 12).double() + 5
    x = (x.contiguous(memory_format=torch.channels_last) if last else x).requires_grad_()
    out, centre = conv.centred(x, channel_means(x))
    wanted = conv(x)
    torch.testing.assert_close(out + centre.view(-1, 1, 1), wanted, rtol=0, atol=1e-12)
    g = torch.randn_like(wanted)
    for a, b in zip(*(torch.autograd.grad(y, [x, conv.weight], g) for y in (out, wanted)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    inner = conv.centred(torch.full((1, 4, 16, 16), 3.0).double(), torch.full((4,), 3.0).double())[0]
    reach = -(-dilation * (kernel // 2) // stride)
    torch.testing.assert_close(
        inner[..., reach:-reach, reach:-reach], torch.zeros_like(inner[..., reach:-reach, reach:-reach])
    )
