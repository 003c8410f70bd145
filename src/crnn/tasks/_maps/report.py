"""What is said of label maps in reports: tables, confusions, areas, and what needs no network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from crnn.metrics import maps as metrics
from crnn.metrics.maps import Counts
from crnn.tasks._charts import confusion_svg
from crnn.tasks._maps.html import NOTE
from crnn.tasks._maps.labels import MapLabels
from crnn.types import LabelMap


def details(counts: Counts, labels: MapLabels) -> dict[str, Any]:
    """A row for each label, and what it was taken for."""
    rows: list[dict[str, Any]] = []
    for row in counts.by_label():
        shown = {k: v if v == v else "\N{EN DASH}" for k, v in row.items() if k != "number"}
        rows.append({"label": labels.names[row["number"]], **shown})
    table = np.rint(1000 * counts.confusion / np.maximum(1, counts.confusion.sum(1, keepdims=True)))
    return {
        "figures": {**metrics.FIGURES, "iou": ("IoU", "", "%"), "accuracy": ("Accuracy", "", "%")},
        "note": NOTE,
        "charts": [("Confusion of pixels, of 1000 of each label", confusion_svg(labels.names, table))],
        "tables": [("Labels", rows)],
    }


def guesses(labels: MapLabels) -> dict[str, Callable[[tuple[int, int]], np.ndarray]]:
    """Answers for a picture of a shape that need no network: always the most frequent label of the training part, and
    the most frequent of each place."""
    most = int(np.argmax(labels.pixels)) if labels.pixels else 0
    return {
        "most frequent label": lambda shape: np.full(shape, most, np.uint8),
        "most frequent of each place": labels.usual_at,
    }


def areas(value: LabelMap, labels: MapLabels) -> dict[str, float]:
    """The share of each label that is there in the pixels that count, the largest first."""
    counts = np.bincount(value.numbers.ravel(), minlength=256)[: len(labels)]
    order = [i for i in np.argsort(-counts, kind="stable").tolist() if counts[i]]
    return {labels.names[i]: float(counts[i] / max(1, counts.sum())) for i in order}
