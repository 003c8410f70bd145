"""The benchmark of a forecaster of frames: its slopes and its memory; nothing is timed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def cost(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))
    import nowcast_cost

    return nowcast_cost


def test_slopes_are_exponents_and_the_plot_has_both(cost: Any) -> None:
    points = [
        {"frames": 2 * n, "side": s, "pixels": s * s, "train": n * s, "forecast": n, "mb": n * s * s, "mb_recompute": n}
        for n, s in [(n, cost.SIZE) for n in cost.LENGTHS] + [(cost.LENGTH, s) for s in cost.SIZES if s != cost.SIZE]
    ]
    found = cost.figures(points)
    assert found["train_by_length"] == pytest.approx(1) and found["train_by_pixels"] == pytest.approx(0.5)
    assert found["forecast_by_pixels"] == pytest.approx(0, abs=1e-9) and found["mb_by_pixels"] == pytest.approx(1)
    assert cost.plot(points).count("<polyline") == 4


def test_memory_grows_with_length_and_less_so_with_recompute(cost: Any) -> None:
    short, long = (cost.held(cost.network(n, 16), cost.batch(n, 16)) for n in (4, 8))
    assert 1.5 < long / short < 2.5
    assert cost.held(cost.network(8, 16, recompute=True), cost.batch(8, 16)) < 0.7 * long
