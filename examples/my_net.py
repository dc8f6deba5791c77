"""A user's own network with four knobs: depth, width, kind of block, squeeze-and-excitation.

archwright search examples/my_net.py --data digits --budget 12 --epochs 4 --study runs/my_net
"""

import torch
from torch import nn

import archwright as aw

space = aw.Space(
    depth=aw.Integer(1, 4),
    width=aw.Choice(8, 16, 32, ordered=True),
    block=aw.Choice("conv", "mbconv"),
    se=aw.Choice(False, True, when={"block": "mbconv"}),
)
default = {"depth": 2, "width": 16, "block": "conv"}


class Gate(nn.Module):
    """Squeeze-and-excitation."""

    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Sigmoid())

    def forward(self, x):
        return x * self.scale(x)


def conv(c_in, c_out, kernel=3, groups=1):
    return [nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups), nn.BatchNorm2d(c_out), nn.ReLU()]


def build(architecture, input_shape, num_classes):
    width = architecture["width"]
    layers = conv(input_shape[0], width)
    for _ in range(architecture["depth"]):
        if architecture["block"] == "conv":
            layers += conv(width, width)
        else:
            layers += conv(width, 2 * width, 1) + conv(2 * width, 2 * width, groups=2 * width)
            layers += [Gate(2 * width)] if architecture["se"] else []
            layers += conv(2 * width, width, 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))


if __name__ == "__main__":
    architecture = space.default
    print(architecture, build(architecture, (1, 8, 8), 10)(torch.zeros(2, 1, 8, 8)).shape)
