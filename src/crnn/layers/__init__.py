"""Weights and mathematics, usable alone.

What recurs over time takes ``(batch, time, channels, *space)``; convolution, norm and pool take torch's
``(batch, channels, time, *space)``.
"""

from crnn.layers.conv import ConvBlock, MaxPool
from crnn.layers.dropout import TimeDropout
from crnn.layers.norm import BatchNorm
from crnn.layers.padding import at_least, mask, out_length, reverse, zero_padding
from crnn.layers.recurrent import Recurrent

__all__ = [
    "BatchNorm",
    "ConvBlock",
    "MaxPool",
    "Recurrent",
    "TimeDropout",
    "at_least",
    "mask",
    "out_length",
    "reverse",
    "zero_padding",
]
