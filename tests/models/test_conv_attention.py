"""Convolutions, recurrence, attention: what comes out for each kind of input, and what each part adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from crnn import create
from crnn.errors import SettingsError
from crnn.layers import TimeAttention
from crnn.models.conv_attention import ConvAttention
from crnn.types import InputSpec, Seq

SPECS = (
    InputSpec("series", 3),
    InputSpec("sound", 1, (9,)),
    InputSpec("picture", 3, (8,)),
    InputSpec("film", 3, (6, 5)),
    InputSpec("sentence", 1, vocabulary=9),
)
every_kind = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)


def small(spec: InputSpec = SPECS[0], **values: Any) -> ConvAttention:
    given = {"channels": (4, 5, 6), "embedding": 4, "hidden": 4, "heads": 2, **values}
    return ConvAttention(spec, ConvAttention.Settings(**given)).eval()


@every_kind
def test_alone_equals_in_a_batch(
    spec: InputSpec, drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]
) -> None:
    encoder, stride = small(spec), {"sentence": 1, "film": 1}.get(spec.kind, 4)
    assert check_alone(encoder, drawn(spec, [30, 1, 13])) == [-(-n // stride) for n in (30, 1, 13)]
    assert (encoder.levels[0].stride, encoder.levels[0].channels) == (stride, 8)


def test_parameters_are_those_of_the_formula() -> None:
    encoder = ConvAttention(InputSpec("sound", 1, (40,)))
    convolutions = (1 * 32 + 32 * 64 + 64 * 128) * 5 * 3 + 2 * (32 + 64 + 128)
    join = 128 * 5 * 192 + 192  # 40 bands halved three times
    recurrent = 2 * 4 * 96 * (192 + 96 + 2)
    attention = 4 * 192 * 192 + 192
    assert sum(p.numel() for p in encoder.parameters()) == convolutions + join + recurrent + attention + 2 * 192


def test_attention_is_preferred_and_every_step_may_look_at_every_other() -> None:
    assert isinstance(create("conv_attention", task="classify", classes=2).head.pool, TimeAttention)
    encoder = small(strides=(1, 1, 1))
    seen: list[torch.Tensor] = []
    encoder.recurrent.register_forward_hook(lambda module, given, result: seen.append(result[0]))
    y = encoder(Seq(torch.rand(1, 40, 3), torch.tensor([40]))).last.x
    (gradient,) = torch.autograd.grad(y[0, 0].square().sum(), seen[0])
    assert gradient[0].abs().sum(1).gt(0).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"strides": (2,)}, "channels has 3 entries and encoder.strides 1"),
        ({"heads": 3}, "heads 3"),
        ({"kernel": 4}, "odd kernel"),
    ],
)
def test_settings_that_do_not_fit_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        small(**values)
