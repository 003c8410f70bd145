"""Weights and mathematics, usable alone.

What recurs over time takes ``(batch, time, channels, *space)`` and gives ``y, state``; convolution, norm and pool take
torch's ``(batch, channels, time, *space)``.
"""

from crnn.layers.cells import Cell, ElmanCell, GRUCell, JordanCell, LSTMCell, MinimalCell, layer_norm
from crnn.layers.conv import ConvBlock, MaxPool
from crnn.layers.convrecurrent import ConvGRU, ConvLSTM, ConvRNN
from crnn.layers.dropout import TimeDropout
from crnn.layers.norm import BatchNorm
from crnn.layers.padding import at_least, mask, out_length, reverse, zero_padding
from crnn.layers.recurrent import Recurrent
from crnn.layers.regular import RecurrentDropout, Zoneout
from crnn.layers.scan import scan
from crnn.layers.trajectory import TrajectoryGRUCell
from crnn.layers.window import Window

__all__ = [
    "BatchNorm",
    "Cell",
    "ConvBlock",
    "ConvGRU",
    "ConvLSTM",
    "ConvRNN",
    "ElmanCell",
    "GRUCell",
    "JordanCell",
    "LSTMCell",
    "MaxPool",
    "MinimalCell",
    "Recurrent",
    "RecurrentDropout",
    "TimeDropout",
    "TrajectoryGRUCell",
    "Window",
    "Zoneout",
    "at_least",
    "layer_norm",
    "mask",
    "out_length",
    "reverse",
    "scan",
    "zero_padding",
]
