"""rcnn_96, rcnn_128, rcnn_160: recurrent convolutional networks for pictures of objects (Liang & Hu 2015, CVPR).

"Recurrent Convolutional Neural Network for Object Recognition": a convolution of 5 x 5, then four layers that recur in
place, each with a convolution of its input and one of its own state, 3 x 3 both, all of the same width. Overlapping
pools halve the picture behind layers 1 and 3; the largest value of each map over the whole picture goes to the last
layer. In the paper's form (``norm = "lrn"``) and with 10 classes they have 672,202, 1,191,178 and 1,857,610 parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from crnn.config import Share, Whole
from crnn.layers import RCL, LocalNorm, SharedNorm, SkiplessRCL, StepNorm, WideConv
from crnn.models._chain import Chain
from crnn.models._overlap import OverlapMax
from crnn.types import Features, InputSpec, Level, Seq

NORMS: dict[str, Any] = {"bn_per_step": StepNorm, "bn_shared": SharedNorm, "lrn": LocalNorm}
STRIDE = 4


class RCNN96(nn.Module):
    """Picture ``(batch, columns, channels, height)`` to maps ``(batch, columns / 4, size, height / 4)``."""

    accepts = ("picture",)
    pooling = "max"
    tiny = {"size": 8}
    size = 96

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        size: Whole = 0
        """Feature maps of every layer; 0 takes the number in the model's name."""
        steps: Whole = 3
        """How often each recurrent layer feeds its state back; 0 makes it a plain convolution."""
        norm: Literal["bn_per_step", "bn_shared", "lrn", "none"] = "bn_per_step"
        """After each step: batch normalisation of its own for each, one for all, or the paper's local response
        normalisation."""
        variant: Literal["rcl", "skipless", "wide"] = "rcl"
        """The paper's layer; its two ablations: without the input after the first step, or two convolutions one after
        the other with as many weights and no recurrence."""
        dropout: Share = 0.2
        """Share of values dropped behind each layer but the last, in training; 0.5 in the paper."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings()) -> None:
        super().__init__()
        s = settings
        size, norm = s.size or self.size, NORMS.get(s.norm)

        def layer() -> nn.Module:
            if s.variant == "wide":
                return WideConv(size, size, norm=norm)
            return {"rcl": RCL, "skipless": SkiplessRCL}[s.variant](size, size, steps=s.steps, norm=norm)

        # an RCL of no steps is what the first layer is: convolution, ReLU, normalisation
        first = RCL(spec.channels, size, kernel_size=5, steps=0, norm=norm)
        self.stages = Chain([first, OverlapMax(), layer(), layer(), OverlapMax(), layer(), layer()])
        self.dropped = (1, 2, 4, 5)
        self.dropout = nn.Dropout(s.dropout)
        (height,) = spec.space
        self.levels = (Level(size, (-(-height // STRIDE),), STRIDE),)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return self.stages.out_lengths(lengths)

    def forward(self, seq: Seq, state: None = None) -> Features:
        x, lengths = seq
        x = x.permute(0, 2, 1, 3)  # (batch, time, channels, height) -> (batch, channels, time, height)
        for i, stage in enumerate(self.stages):
            x, lengths = stage(x, lengths)
            if i in self.dropped:
                x = self.dropout(x)
        return Features((Seq(x.permute(0, 2, 1, 3), lengths),))  # and back


class RCNN128(RCNN96):
    """The same with 128 maps."""

    size = 128


class RCNN160(RCNN96):
    """The same with 160 maps."""

    size = 160
