"""Operations and blocks that families are built from."""

from archwright.layers.blocks import (
    ConvNormAct,
    DropPath,
    GlobalPoolHead,
    MBConv,
    ReLUConvBN,
    ResidualBlock,
    SqueezeExcite,
    activation,
    set_drop_path,
)

__all__ = [
    "ConvNormAct",
    "DropPath",
    "GlobalPoolHead",
    "MBConv",
    "ReLUConvBN",
    "ResidualBlock",
    "SqueezeExcite",
    "activation",
    "set_drop_path",
]
