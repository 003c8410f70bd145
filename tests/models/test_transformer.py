"""The attention encoder: it is torch's own block by block, and padding says nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from crnn import create
from crnn.errors import SettingsError
from crnn.layers import mask
from crnn.models.transformer import Transformer
from crnn.types import InputSpec, Seq

LENGTHS = torch.tensor([9, 2, 5])


def small(spec: InputSpec | None = None, **values: Any) -> Transformer:
    settings = Transformer.Settings(**{"width": 8, "layers": 2, "heads": 2, "hidden": 12, "longest": 6, **values})
    return Transformer(spec or InputSpec("series", 3), settings).eval()


def test_parameters_are_those_of_the_formula() -> None:
    net = create("transformer", task="classify", classes=5, input={"name": "series"})
    w, hidden, layers, inputs = 128, 256, 4, net.encoder.flat.features
    block = 4 * w * w + w + 2 * w * hidden + w + hidden + 4 * w
    assert sum(p.numel() for p in net.parameters()) == inputs * w + w + layers * block + 2 * w + 5 * w + 5


@torch.no_grad()
def test_blocks_are_those_of_torch() -> None:
    encoder = small()
    for block in encoder.blocks:
        other = nn.TransformerEncoderLayer(8, 2, 12, activation="gelu", batch_first=True, norm_first=True).eval()
        for norm, own in ((other.norm1, block.first_norm), (other.norm2, block.second_norm)):
            own.weight.uniform_(0.5, 2)
            norm.load_state_dict(own.state_dict())
        other.linear1.load_state_dict(block.dense[0].state_dict())
        other.linear2.load_state_dict(block.dense[3].state_dict())
        assert other.self_attn.in_proj_bias is not None
        other.self_attn.in_proj_weight.copy_(block.attention.into.weight)
        other.self_attn.in_proj_bias.zero_()
        other.self_attn.out_proj.load_state_dict(block.attention.out.state_dict())
        x, inside = torch.randn(3, 9, 8), mask(LENGTHS, 9)
        y, expected = block(x, LENGTHS), other(x, src_key_padding_mask=~inside)
        torch.testing.assert_close(y[inside], expected[inside], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
@pytest.mark.parametrize(
    "spec",
    [
        InputSpec("series", 3),
        InputSpec("sound", 1, (5,)),
        InputSpec("picture", 3, (4,)),
        InputSpec("film", 3, (4, 5)),
        InputSpec("sentence", 1, vocabulary=9),
    ],
    ids=lambda spec: spec.kind,
)
def test_alone_equals_in_a_batch(
    spec: InputSpec, positions: str, drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]
) -> None:
    encoder = small(spec, positions=positions)
    assert check_alone(encoder, drawn(spec, LENGTHS.tolist())) == LENGTHS.tolist()
    assert encoder.levels[-1].channels == 8


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
@torch.no_grad()
def test_order_matters(positions: str) -> None:
    encoder = small(positions=positions)
    x, length = torch.rand(1, 5, 3), torch.tensor([5])
    there = encoder(Seq(x, length)).last.x
    back = encoder(Seq(x.flip(1), length)).last.x.flip(1)
    assert (there - back).abs().max() > 0.01


@torch.no_grad()
def test_steps_behind_the_last_learned_position_share_it() -> None:
    encoder = small(positions="learned")
    found = encoder._positions(torch.zeros(1, 9, 8))
    assert len(found.unique(dim=0)) == 6 and found[5:].eq(found[5]).all()


def test_a_width_that_heads_cannot_share_is_answered_with_one_that_they_can() -> None:
    with pytest.raises(SettingsError, match=r"width is 9 and encoder.heads 2.*Set encoder.width to 8"):
        small(width=9)
