"""Operations and blocks that families are built from."""

from archwright.layers.blocks import (
    ConvNormAct,
    DilatedConv,
    DropPath,
    FactorizedReduce,
    GlobalPoolHead,
    MBConv,
    ReLUConvBN,
    ResidualBlock,
    SeparableConv,
    SqueezeExcite,
    activation,
    set_drop_path,
)

__all__ = [
    "ConvNormAct",
    "DilatedConv",
    "DropPath",
    "FactorizedReduce",
    "GlobalPoolHead",
    "MBConv",
    "ReLUConvBN",
    "ResidualBlock",
    "SeparableConv",
    "SqueezeExcite",
    "activation",
    "set_drop_path",
]
