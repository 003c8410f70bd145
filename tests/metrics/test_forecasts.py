"""Figures of forecasts against their formulas, written out once more."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crnn.errors import DataError
from crnn.metrics.forecasts import FIGURES, score

RNG = np.random.default_rng(3)
TRUTHS = RNG.normal(5, 2, (60, 1, 4)) * np.array([1, 10, 0.1, 1])
ANSWERS = TRUTHS + RNG.normal(0, 1, TRUTHS.shape)
ONES = np.ones(4)


def scored(truths: np.ndarray = TRUTHS, answers: np.ndarray = ANSWERS, **more: object) -> dict[str, float]:
    return score(truths, answers, **{"deviation": ONES, "naive": ONES, **more})  # type: ignore[arg-type]


def test_rse_and_corr_are_those_of_the_program_of_lai_et_al() -> None:
    predict, ytest = ANSWERS[:, 0], TRUTHS[:, 0]
    # their evaluate(): total L2 loss over samples, over the deviation of the test part; correlation by numpy
    x = torch.tensor(ytest)
    deviation = float(x.std() * np.sqrt((len(x) - 1.0) / len(x)))
    rse = np.sqrt(((predict - ytest) ** 2).sum() / ytest.size) / deviation
    sigma_p, sigma_g = predict.std(axis=0), ytest.std(axis=0)
    corr = ((predict - predict.mean(0)) * (ytest - ytest.mean(0))).mean(0) / (sigma_p * sigma_g)
    found = scored()
    assert found["rse"] == pytest.approx(rse, rel=0.01), "theirs divides by one less here and there"
    assert found["corr"] == pytest.approx(corr[sigma_g != 0].mean())


def test_errors_in_units_deviations_and_seasons() -> None:
    deviation, naive = np.array([1, 10, 0.1, 2.0]), np.array([2.0, 4.0, 0.0, 1.0])
    found, away = scored(deviation=deviation, naive=naive), abs(ANSWERS - TRUTHS)
    assert found["mae"] == pytest.approx(away.mean()) and found["mae_low"] < found["mae"] < found["mae_high"]
    assert found["rmse"] ** 2 == pytest.approx(found["mse"]) == pytest.approx((away**2).mean())
    assert found["mae_scaled"] == pytest.approx((away / deviation).mean())
    assert found["mse_scaled"] == pytest.approx(((away / deviation) ** 2).mean())
    by_column = away.mean((0, 1))
    moving = [by_column[i] / naive[i] for i in (0, 1, 3)]
    assert found["mase"] == pytest.approx(np.mean(moving)), "a column that stands still does not count"


def test_bands() -> None:
    quantiles = (0.1, 0.5, 0.9)
    bands = np.quantile(RNG.normal(5, 2, (60, 1, 4, 999)), quantiles, axis=-1).transpose(1, 2, 3, 0)
    found = scored(bands=bands, quantiles=quantiles)
    losses = []
    for i, q in enumerate(quantiles):
        over = TRUTHS - bands[..., i]
        losses.append(np.where(over > 0, q * over, (q - 1) * over).mean())
    assert found["pinball"] == pytest.approx(np.mean(losses))
    inside = [(b[0] <= t <= b[-1]) for t, b in zip(TRUTHS.ravel(), bands.reshape(-1, 3), strict=True)]
    assert found["coverage"] == pytest.approx(np.mean(inside)) and found["promised"] == pytest.approx(0.8)
    assert "coverage" not in scored() and "coverage" not in scored(bands=bands[..., :1], quantiles=(0.1,))


def test_what_has_no_spread_has_no_figure_that_divides_by_it() -> None:
    still = np.full((5, 2, 1), 3.0)
    found = score(still, still + 1, deviation=np.ones(1), naive=np.zeros(1))
    assert not {"rse", "corr", "mase"} & found.keys() and found["mae"] == 1
    moving = still + np.arange(5)[:, None, None]
    assert score(moving, still, deviation=np.ones(1), naive=np.ones(1))["corr"] == 0, "an answer that never moves"


def test_every_figure_is_explained_and_nothing_is_refused() -> None:
    found = scored(bands=np.stack([ANSWERS - 1, ANSWERS + 1], -1), quantiles=(0.2, 0.8))
    assert {key for key in found if not key.endswith(("_low", "_high"))} == set(FIGURES)
    with pytest.raises(DataError, match="nothing to score"):
        scored(TRUTHS[:0], ANSWERS[:0])
