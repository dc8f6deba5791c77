"""What surrounds the cells of NAS-Bench-201 (Dong and Yang 2020): a stem, stages of equal cells, reductions between them, a head."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from archwright.layers.blocks import GlobalPoolHead, ReLUConvBN


class Reduction(nn.Module):
    """Residual block of stride 2 between stages."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ReLUConvBN(c_in, c_out, 3, 2), ReLUConvBN(c_out, c_out, 3))
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False), nn.Conv2d(c_in, c_out, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``batch x c_out x ceil(h / 2) x ceil(w / 2)``."""
        y: Tensor = self.shortcut(x) + self.body(x)
        return y


def edge_operation(name: str, channels: int) -> nn.Module:
    """An operation of NAS-Bench-201 other than ``none``."""
    if name == "nor_conv_1x1":
        return ReLUConvBN(channels, channels, 1)
    if name == "nor_conv_3x3":
        return ReLUConvBN(channels, channels, 3)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return nn.Identity()


def staged(
    c_in: int, num_classes: int, channels: int, cells: int, stages: int, make: Callable[[int], nn.Module]
) -> list[nn.Module]:
    """Layers of a network, one after the other; the last one is the head.

    Args:
        c_in, num_classes: of the data.
        channels: of the first stage; each further stage doubles them and halves the image.
        cells: per stage.
        stages: how many.
        make: makes a cell of so many channels.
    """
    layers: list[nn.Module] = [
        nn.Sequential(nn.Conv2d(c_in, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
    ]
    width = channels
    for stage in range(stages):
        if stage:
            layers.append(Reduction(width, 2 * width))
            width *= 2
        layers += [make(width) for _ in range(cells)]
    return [*layers, nn.Sequential(nn.BatchNorm2d(width), nn.ReLU()), GlobalPoolHead(width, num_classes)]
