"""Figures of frames: their conventions against small sums by hand, SSIM against torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from crnn.metrics.frames import FIGURES, Sums, named, ssim


def test_sums_and_means_are_what_their_names_say() -> None:
    truth, said = np.zeros((2, 1, 3, 4), np.float32), np.zeros((2, 1, 3, 4), np.float32)
    said[0] = 0.5
    sums = Sums(probabilities=True)
    sums.add(truth, said)
    sums.add(truth, truth)
    figures = sums.figures()
    assert figures["mse_mean"] == pytest.approx(0.25 / 4) and figures["mse_sum_per_frame"] == pytest.approx(
        12 * 0.25 / 4
    )
    assert figures["mae_mean"] == pytest.approx(0.5 / 4) and figures["mae_sum_per_frame"] == pytest.approx(12 * 0.5 / 4)
    assert figures["cross_entropy_per_sequence"] == pytest.approx(12 * np.log(2) / 2, rel=1e-4)
    assert figures["cross_entropy_per_frame"] == pytest.approx(12 * np.log(2) / 4, rel=1e-4)
    assert sums.mean("mse").tolist() == pytest.approx([0.125, 0])
    assert [row["mse_mean"] for row in sums.by_frame()] == ["0.125", "0"]
    assert figures["psnr"] == pytest.approx((10 * np.log10(4) + 3 * 100) / 4), "of frames that are the same, 100 dB"


def test_what_was_not_measured_does_not_count() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.random((2, 3, 1, 16, 16)).astype(np.float32)
    whole, holed = Sums((0.5,), probabilities=True), Sums((0.5,), probabilities=True)
    whole.add(truth[:2], said[:2])
    truth[2] = np.nan  # a frame of which nothing is known
    holed.add(truth, said)
    assert holed.figures() == pytest.approx(whole.figures())
    truth[:2, :, 5:9, 5:9] = np.nan
    found = []
    for wrong in (0.0, 0.3, 0.9):
        said[:2, :, 5:9, 5:9] = wrong
        sums = Sums((0.5,), probabilities=True)
        sums.add(truth, said)
        found.append(sums.figures())
    assert found[0] == found[1] == found[2], "whatever is said there"
    said[0, 0, 0, 0] = np.nan
    sums.add(truth, said)
    assert np.isnan(sums.figures()["mse_mean"]), "an answer that is no number is not left out"


@pytest.mark.parametrize("low", [0.0, 280.0, 101_325.0])
def test_ssim_does_not_depend_on_where_a_scale_begins(low: float) -> None:
    rng = np.random.default_rng(0)
    truth, said = (20 * rng.random((2, 1, 32, 32)).astype(np.float32) for _ in range(2))
    expected = ssim(torch.from_numpy(truth / 20), torch.from_numpy(said / 20)).mean().item()
    sums = Sums(span=20.0, low=low)
    sums.add(truth + np.float32(low), said + np.float32(low))
    assert sums.figures()["ssim"] == pytest.approx(expected, abs=1e-2)


def test_events_at_a_threshold() -> None:
    truth = np.array([0, 0, 1, 1, 2, 2, 2, 0], np.float32).reshape(1, 1, 2, 4)
    said = np.array([0, 1, 1, 0, 2, 2, 0, 0], np.float32).reshape(1, 1, 2, 4)
    sums = Sums((1.0, 5.0))
    sums.add(truth, said)
    figures = sums.figures()  # 3 hits, 2 misses, 1 alarm, 2 quiet
    assert figures["csi_1"] == pytest.approx(3 / 6) and figures["pod_1"] == pytest.approx(3 / 5)
    assert figures["far_1"] == pytest.approx(1 / 4)
    assert figures["hss_1"] == pytest.approx(2 * (3 * 2 - 2 * 1) / (5 * 4 + 4 * 3))
    assert np.isnan(figures["csi_5"]) and figures["csi"] == figures["csi_1"], "what never came says nothing"
    assert set(figures) <= set(named((1.0, 5.0))) and set(FIGURES) < set(named((1.0,)))
    assert sums.at_thresholds("csi").shape == (1, 2)


def test_chance_has_no_skill() -> None:
    rng = np.random.default_rng(0)
    sums = Sums((0.7,))
    sums.add(*rng.random((2, 4, 1, 50, 50)).astype(np.float32))
    assert abs(sums.figures()["hss_0.7"]) < 0.03


@pytest.mark.parametrize("shape", [(3, 1, 24, 32), (2, 3, 11, 11)])
def test_ssim_is_that_of_torchmetrics(shape: tuple[int, ...]) -> None:
    one, noise = torch.rand(shape), torch.rand(shape)
    other = (one + 0.2 * noise).clamp(max=1)
    _, places = structural_similarity_index_measure(other, one, data_range=1.0, return_full_image=True)
    expected = places[..., 5:-5, 5:-5].mean((1, 2, 3))  # it mirrors the border, where the paper has no window
    torch.testing.assert_close(ssim(one, other), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ssim(one, one), torch.ones(shape[0]))


def test_ssim_of_frames_smaller_than_its_window() -> None:
    x = torch.rand(2, 1, 5, 30)
    assert ssim(x, x.flip(0)).shape == (2,) and float(ssim(x, x).min()) == pytest.approx(1)


def test_correlation_is_not_centred() -> None:
    sums = Sums()
    truth = np.ones((1, 1, 2, 2), np.float32)
    sums.add(truth, 3 * truth)
    assert sums.figures()["correlation"] == pytest.approx(1)
    empty = Sums()
    empty.add(0 * truth, 0 * truth)
    assert empty.figures()["correlation"] == 1
