"""Operations and blocks that families are built from."""

from archwright.layers.attention import (
    AdditiveAttention,
    OnPixels,
    PreNorm,
    SelfAttention,
    SeparableAttention,
    TokenMLP,
    TransposedAttention,
    ViTBlock,
)
from archwright.layers.blocks import (
    ConvNormAct,
    DilatedConv,
    DropPath,
    FactorizedReduce,
    FusedMBConv,
    GlobalPoolHead,
    MBConv,
    ReLUConvBN,
    ResidualBlock,
    SeparableConv,
    SqueezeExcite,
    activation,
    set_drop_path,
)
from archwright.layers.moat import HybridCell, PreNormMBConv
from archwright.layers.mobileone import MobileOneBlock, MobileOneConv, fuse

__all__ = [
    "AdditiveAttention",
    "ConvNormAct",
    "DilatedConv",
    "DropPath",
    "FactorizedReduce",
    "FusedMBConv",
    "GlobalPoolHead",
    "HybridCell",
    "MBConv",
    "MobileOneBlock",
    "MobileOneConv",
    "OnPixels",
    "PreNorm",
    "PreNormMBConv",
    "ReLUConvBN",
    "ResidualBlock",
    "SelfAttention",
    "SeparableAttention",
    "SeparableConv",
    "SqueezeExcite",
    "TokenMLP",
    "TransposedAttention",
    "ViTBlock",
    "activation",
    "fuse",
    "set_drop_path",
]
