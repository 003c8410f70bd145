"""The cascade over the scalp: the paper's count, its map of the head, frame by frame."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from crnn.errors import SettingsError
from crnn.layers import mask
from crnn.models._mesh import SCALP, Mesh, mesh_for
from crnn.models.eeg_cascade import EEGCascade
from crnn.types import InputSpec, Seq

TABLE = ((1, 0, 2), (0, 4, 0), (3, 5, 0))


def small(channels: int = 5, **values: Any) -> EEGCascade:
    given = {"mesh": TABLE, "channels": (3, 4), "features": 6, "hidden": 5, **values}
    return EEGCascade(InputSpec("series", channels), EEGCascade.Settings(**given)).eval()


def whole(x: torch.Tensor) -> Seq:
    return Seq(x, torch.full((len(x),), x.shape[1]))


@pytest.mark.parametrize(("cell", "parameters"), [("lstm_one_bias", 32_351_749), ("lstm", 32_351_749 + 8_192)])
def test_parameters_of_the_paper(cell: Any, parameters: int) -> None:
    with torch.device("meta"):
        encoder = EEGCascade(InputSpec("series", 64), EEGCascade.Settings(cell=cell))
    assert sum(p.numel() for p in encoder.parameters()) + 1024 * 5 + 5 == parameters


def test_the_scalp_is_that_of_the_10_10_system() -> None:
    assert sorted(n for row in SCALP for n in row if n) == list(range(1, 65))
    place = {n: (y, x) for y, row in enumerate(SCALP) for x, n in enumerate(row)}
    names = {1: "FC5", 9: "C3", 11: "Cz", 13: "C4", 23: "Fpz", 43: "T9", 44: "T10", 62: "Oz", 64: "Iz"}
    where = {"Fpz": (0, 5), "FC5": (3, 2), "C3": (4, 3), "Cz": (4, 5), "C4": (4, 7), "Oz": (8, 5), "Iz": (9, 5)}
    where |= {"T9": (4, 0), "T10": (4, 10)}
    assert {name: place[n] for n, name in names.items()} == where
    taken = [[bool(n) for n in row] for row in SCALP]
    assert taken == [row[::-1] for row in taken], "a head is symmetric"


def test_electrodes_lie_where_the_mesh_says_and_nothing_lies_between() -> None:
    x = torch.arange(1.0, 11.0).view(1, 2, 5)
    first, second = Mesh(TABLE)(x)[0, :, 0]
    assert first.tolist() == [[1, 0, 2], [0, 4, 0], [3, 5, 0]]
    assert second.tolist() == [[6, 0, 7], [0, 9, 0], [8, 10, 0]]


@pytest.mark.parametrize(
    ("channels", "table"),
    [(1, ((1,),)), (2, ((1, 2),)), (5, ((1, 2, 3), (4, 5, 0))), (9, ((1, 2, 3), (4, 5, 6), (7, 8, 9)))],
)
def test_other_channels_are_laid_out_row_by_row(channels: int, table: Any) -> None:
    assert mesh_for(channels, ()) == table
    assert mesh_for(64, ()) == SCALP


@pytest.mark.parametrize(
    ("mesh", "words"),
    [
        (((1, 2), (3,)), "rows of 2, 1 places"),
        (((0, 0),), "with channels in them"),
        (((1, 2, 3), (4, 0, 0)), "leaves out channel 5"),
        (((1, 2, 3), (4, 5, 5)), "names 5 wrongly"),
        (((1, 2, 3), (4, 5, 6)), "names 6 wrongly.*each of the 5 channels"),
    ],
)
def test_a_mesh_that_does_not_fit_is_refused(mesh: Any, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        small(mesh=mesh)


@torch.no_grad()
def test_frames_are_seen_one_by_one() -> None:
    frames, x = small().frames, torch.rand(2, 4, 5)
    together = frames(x)
    for t in range(4):
        torch.testing.assert_close(frames(x[:, t : t + 1])[:, 0], together[:, t])


@torch.no_grad()
def test_what_is_seen_begins_neither_faint_nor_blinding() -> None:
    """As torch begins the layers, the LSTMs receive a twentieth of the input's deviation and learn nothing of waves."""
    encoder = EEGCascade(InputSpec("series", 9), EEGCascade.Settings(features=64, hidden=8))
    assert 0.3 < float(encoder.frames(torch.randn(20, 10, 9)).std()) < 3


@torch.no_grad()
def test_alone_equals_in_a_batch_and_pieces_are_the_whole() -> None:
    encoder, lengths = small(), torch.tensor([10, 1, 6])
    x = torch.rand(3, 10, 5)
    y, _ = encoder(Seq(torch.where(mask(lengths, 10)[:, :, None], x, 0.0), lengths)).last
    assert not y[~mask(lengths, 10)].any()
    for row, part, length in zip(y, x, lengths.tolist(), strict=True):
        alone = encoder(whole(part[None, :length])).last.x
        torch.testing.assert_close(row[None, :length], alone, rtol=1e-5, atol=1e-6)
    first = encoder(whole(x[:, :3]))
    second = encoder(whole(x[:, 3:]), first.state)
    torch.testing.assert_close(torch.cat([first.last.x, second.last.x], 1), encoder(whole(x)).last.x)
