"""Weights and mathematics, usable alone.

What recurs over time takes ``(batch, time, channels, *space)`` and gives ``y, state``; convolution, norm and what
recurs in place take torch's ``(batch, channels, time, *space)``.
"""

from crnn.layers.advection import extrapolate, motion
from crnn.layers.attention import AdditiveAttention, DotAttention, Memory
from crnn.layers.causal import CausalConv, CausalMaxPool
from crnn.layers.cells import Cell, ElmanCell, GRUCell, JordanCell, LSTMCell, MinimalCell, layer_norm
from crnn.layers.conv import ConvBlock, MaxPool
from crnn.layers.convrecurrent import ConvGRU, ConvLSTM, ConvRNN
from crnn.layers.dropout import TimeDropout
from crnn.layers.fusion import (
    FUSIONS,
    AttentionFusion,
    BilinearFusion,
    ConcatFusion,
    DenseFusion,
    Fusion,
    GatedFusion,
    PointwiseFusion,
    ProductFusion,
    SumFusion,
)
from crnn.layers.hopfield import Hopfield, ModernHopfield, hebbian, pseudo_inverse
from crnn.layers.init import chrono_, forget_bias_, orthogonal_, orthogonal_gates_
from crnn.layers.local_norm import LocalResponseNorm
from crnn.layers.lookahead import Lookahead
from crnn.layers.norm import BatchNorm
from crnn.layers.padding import at_least, mask, out_length, reverse, zero_padding
from crnn.layers.pool import TimeAttention, TimeLast, TimeMax, TimeMean
from crnn.layers.pyramid import Pyramid, PyramidLayer
from crnn.layers.rcl import RCL, GatedRCL, LocalNorm, SharedNorm, SkiplessRCL, StepNorm, TiedRCL, WideConv
from crnn.layers.recurrent import Recurrent
from crnn.layers.regular import RecurrentDropout, Zoneout
from crnn.layers.renet import Patches, ReNet
from crnn.layers.scan import scan
from crnn.layers.scan2d import MDLSTM
from crnn.layers.self_attention import SelfAttention, sinusoids
from crnn.layers.trajectory import TrajectoryGRUCell
from crnn.layers.weight_norm import WeightNormConv1d
from crnn.layers.window import Window

__all__ = [
    "FUSIONS",
    "MDLSTM",
    "RCL",
    "AdditiveAttention",
    "AttentionFusion",
    "BatchNorm",
    "BilinearFusion",
    "CausalConv",
    "CausalMaxPool",
    "Cell",
    "ConcatFusion",
    "ConvBlock",
    "ConvGRU",
    "ConvLSTM",
    "ConvRNN",
    "DenseFusion",
    "DotAttention",
    "ElmanCell",
    "Fusion",
    "GRUCell",
    "GatedFusion",
    "GatedRCL",
    "Hopfield",
    "JordanCell",
    "LSTMCell",
    "LocalNorm",
    "LocalResponseNorm",
    "Lookahead",
    "MaxPool",
    "Memory",
    "MinimalCell",
    "ModernHopfield",
    "Patches",
    "PointwiseFusion",
    "ProductFusion",
    "Pyramid",
    "PyramidLayer",
    "ReNet",
    "Recurrent",
    "RecurrentDropout",
    "SelfAttention",
    "SharedNorm",
    "SkiplessRCL",
    "StepNorm",
    "SumFusion",
    "TiedRCL",
    "TimeAttention",
    "TimeDropout",
    "TimeLast",
    "TimeMax",
    "TimeMean",
    "TrajectoryGRUCell",
    "WeightNormConv1d",
    "WideConv",
    "Window",
    "Zoneout",
    "at_least",
    "chrono_",
    "extrapolate",
    "forget_bias_",
    "hebbian",
    "layer_norm",
    "mask",
    "motion",
    "orthogonal_",
    "orthogonal_gates_",
    "out_length",
    "pseudo_inverse",
    "reverse",
    "scan",
    "sinusoids",
    "zero_padding",
]
