"""What is odd about label maps, seen before any training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crnn.errors import CrnnError
from crnn.findings import Doubts, Finding, Seen
from crnn.metrics.maps import IGNORED
from crnn.tasks._maps.labels import MapLabels

RARE = 0.001  # share of the pixels below which a label is rare


def doubts(seen: Sequence[Seen], labels: MapLabels) -> Doubts:
    """What is odd about the maps of ``seen``, for a task that knows ``labels``."""
    findings: list[Finding] = []
    counts: dict[str, np.ndarray] = {}
    for s in seen:
        if s.problem is not None:
            kind = "no label map" if s.sample.y is None else "label map that does not fit"
            findings.append(Finding.of(s.problem, kind, file=s.sample.id, split=s.split))
        if not s.usable:
            continue
        try:
            x = labels.truth(s.sample)
        except CrnnError as error:
            findings.append(Finding.of(error, "label map that does not fit", split=s.split))
            continue
        here = np.bincount(x.ravel(), minlength=256)
        counts[s.split] = counts.get(s.split, np.zeros(256, np.int64)) + here
        if here[IGNORED] == x.size:
            do = "Label it, or take it away."
            findings.append(
                Finding("warning", "nothing labelled", s.sample.id, "has no pixel that counts", do, s.split)
            )
    findings += _uneven(counts, labels)
    figures = {
        split: {"labels": int((n[: len(labels)] > 0).sum()), "pixels that do not count (%)": _share(n)}
        for split, n in counts.items()
    }
    return Doubts(tuple(findings), figures, {"labels": len(labels)})


def _uneven(counts: dict[str, np.ndarray], labels: MapLabels) -> list[Finding]:
    findings = []
    for split, n in counts.items():
        shares: Any = n[: len(labels)] / max(1, n[: len(labels)].sum())
        absent = [name for name, share in zip(labels.names, shares, strict=True) if not share]
        rare = [name for name, share in zip(labels.names, shares, strict=True) if 0 < share < RARE]
        if absent:
            said = f"of the split {split} have no pixel of {', '.join(absent[:10])}"
            do = "Its figures say nothing of these: add pictures of them."
            findings.append(Finding("note", "labels that are not there", None, said, do, split))
        if rare and split == "train":
            said = f"have less than 0.1 % of their pixels of {', '.join(rare[:10])}"
            do = 'Try task.weights = "median_frequency", or the loss both.'
            findings.append(Finding("note", "rare labels", None, said, do, split))
    return findings


def _share(counts: np.ndarray) -> float:
    return float(100 * counts[IGNORED] / max(1, counts.sum()))
