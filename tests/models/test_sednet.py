"""SEDnet: the authors' count, a step for each frame, directions that are multiplied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from crnn.errors import SettingsError
from crnn.models.sednet import SEDnet
from crnn.types import InputSpec, Seq


def small(bands: int = 12, **values: Any) -> SEDnet:
    given = {"channels": (3, 4), "pools": (3, 2), "hidden": (5, 4), "dense": 6, **values}
    return SEDnet(InputSpec("sound", 1, (bands,)), SEDnet.Settings(**given)).eval()


@pytest.mark.parametrize("channels", [1, 2])
def test_parameters_of_the_authors_program(channels: int) -> None:
    encoder = SEDnet(InputSpec("sound", channels, (40,)), SEDnet.Settings(cell="gru_one_bias"))
    assert sum(p.numel() for p in encoder.parameters()) + 32 * 6 + 6 == {1: 366_438, 2: 367_590}[channels]
    kernel = SEDnet(InputSpec("sound", channels, (40,)))
    more = sum(p.numel() for p in kernel.parameters()) - sum(p.numel() for p in encoder.parameters())
    assert more == 2 * 2 * 3 * 32, "torch's second bias, for two layers and two directions"


def test_frequency_is_pooled_and_time_is_not() -> None:
    encoder, seen = small(), []
    for pool in encoder.pools:
        pool.register_forward_hook(lambda module, given, result: seen.append(tuple(result[0].shape)))
    y, lengths = encoder(Seq(torch.rand(2, 17, 1, 12), torch.tensor([17, 4]))).last
    assert seen == [(2, 3, 17, 4), (2, 4, 17, 2)]
    assert y.shape == (2, 17, 6) and lengths.tolist() == [17, 4] and encoder.levels[0].stride == 1


@pytest.mark.parametrize("merge", ["product", "sum", "concat"])
@torch.no_grad()
def test_the_two_directions_become_one(merge: str) -> None:
    encoder, seen = small(merge=merge, dense=0, hidden=(5,)), []
    encoder.recurrent[0].register_forward_hook(lambda module, given, result: seen.append(result[0]))
    y, _ = encoder(Seq(torch.rand(1, 9, 1, 12), torch.tensor([9]))).last
    there, back = seen[0][..., :5], seen[0][..., 5:]
    expected = {"product": there * back, "sum": there + back, "concat": seen[0]}[merge]
    torch.testing.assert_close(y, expected)
    assert encoder.levels[0].channels == expected.shape[2]


def test_alone_equals_in_a_batch(drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]) -> None:
    check_alone(small(), drawn(InputSpec("sound", 1, (12,)), [25, 1, 9]))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"pools": (2,)}, "channels has 2 entries and encoder.pools 1"),
        ({"channels": (), "pools": ()}, "one at least"),
        ({"pools": (5, 3)}, "joins 15 bands and the input has 12"),
        ({"kernel": 4}, "kernel is 4.*kernel to 5"),
    ],
)
def test_settings_that_do_not_fit_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        small(**values)
