"""Networks without memory, built to see whether weights fit."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from crnn.layers.bounds import unreal


def test_no_number_is_drawn_for_what_has_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # its import takes seconds; now it fails
    with unreal(4):
        words, weight = nn.Embedding(3, 4), torch.empty(3, 4)
        assert nn.init.normal_(weight, std=0.5) is weight
        assert nn.init.kaiming_normal_(weight) is weight
    assert words.weight.is_meta and words.weight.shape == weight.shape == (3, 4)
