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
from archwright.layers.bands import MergeBands, on_bands
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
from archwright.layers.design import DesignedAttention
from archwright.layers.moat import HybridCell, PreNormMBConv
from archwright.layers.mobileone import MobileOneBlock, MobileOneConv, fuse
from archwright.layers.swiftformer import Encoder, TwoHeads, conv_encoder, local_representation, swiftformer_network

__all__ = [
    "AdditiveAttention",
    "ConvNormAct",
    "DesignedAttention",
    "DilatedConv",
    "DropPath",
    "Encoder",
    "FactorizedReduce",
    "FusedMBConv",
    "GlobalPoolHead",
    "HybridCell",
    "MBConv",
    "MergeBands",
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
    "TwoHeads",
    "ViTBlock",
    "activation",
    "conv_encoder",
    "fuse",
    "local_representation",
    "on_bands",
    "set_drop_path",
    "swiftformer_network",
]
