"""rcnn_pinheiro: a network that reads its own last labelling (Pinheiro & Collobert 2014, ICML).

"Recurrent Convolutional Neural Networks for Scene Labeling". A small network says of each place which label it has;
then it sees the picture again, at half the size, beside what it said, and corrects itself; its weights are the same
each time, and each time it sees more of the surroundings. It learns from all its answers. In the paper, each is for the
middle of a patch; here a border of zeros keeps the size, and an answer stands for a square of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn.config import Count
from crnn.layers import Window
from crnn.models._folded import Folded, halves
from crnn.types import Features, InputSpec, Level, Seq


class RCNNPinheiro(nn.Module):
    """Scenes ``(batch, frames, channels, height, width)``, each frame by itself, to labellings ``(batch, frames,
    outputs, height, width)``, one for each instance, each at half the size of the one before: logits of the labels."""

    accepts = ("scene",)
    answers = ("map",)  # it reads which label is how likely: shares of a whole
    tiny = {"hidden": (6, 8), "kernel": 4}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        hidden: tuple[Count, Count] = (25, 50)
        """Maps of the two convolutions."""
        kernel: Count = 8
        """Side of both."""
        instances: Count = 2
        """How often the network answers; 2 or 3 in the paper."""

    def __init__(self, spec: InputSpec, settings: Settings = Settings(), *, outputs: int = 2) -> None:
        super().__init__()
        s, (first, second) = settings, settings.hidden
        window = Window(space=2, kernel_size=s.kernel)
        self.outputs, self.instances = outputs, s.instances
        self.first = window.of_input(spec.channels + outputs, first, bias=True)
        self.second = window.of_input(first, second, bias=True)
        self.last = nn.Conv2d(second, outputs, 1)
        self.levels = tuple(Level(outputs, halves(spec.space, i + 1), 1) for i in range(s.instances))

    def out_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def forward(self, seq: Seq, state: None = None) -> Features:
        folded, levels = Folded(seq), []
        x = folded.pictures
        said = x.new_zeros(x.shape[0], self.outputs, *x.shape[2:])  # nothing at first
        for i in range(self.instances):
            if i:
                x = F.avg_pool2d(x, 2, ceil_mode=True)
            y = torch.tanh(F.max_pool2d(self.first(torch.cat([x, said.to(x.dtype)], dim=1)), 2, ceil_mode=True))
            y = self.last(torch.tanh(self.second(y)))
            levels.append(folded.seq(y))
            said = y.softmax(1)
        return Features(tuple(levels))
