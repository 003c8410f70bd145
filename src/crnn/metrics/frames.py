"""How well frames were foretold. A figure's name says its convention: ``mse_sum_per_frame`` adds up the pixels of a
frame, ``mse_mean`` takes their mean; papers print the one or the other as MSE.

Events are values at a threshold or above (rain of 0.5 mm/h). Of all pixels of all samples, ``hits`` were foretold and
came, ``misses`` came only, ``alarms`` were foretold only::

    CSI = hits / (hits + misses + alarms)    POD = hits / (hits + misses)    FAR = alarms / (hits + alarms)
    HSS = (hits quiet - misses alarms) / (half of (came (misses + quiet) + foretold (alarms + quiet)))

Pixels of which the truth is NaN were not measured, and do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

NEAR = 1e-7  # to 0 and 1, where the logarithm of a probability ends
TAPS, WIDTH = 11, 1.5  # of the window of SSIM
FIGURES: dict[str, tuple[str, str, str]] = {
    "cross_entropy_per_sequence": (
        "Cross-entropy of a sequence",
        "Of each pixel as a probability, added up over the pixels and frames foretold of a sample (nats).",
        "",
    ),
    "cross_entropy_per_frame": ("Cross-entropy of a frame", "The same, added up over the pixels of a frame.", ""),
    "mse_mean": ("Square error of a pixel", "Mean of the squared error, in squares of the data's unit.", ""),
    "mse_sum_per_frame": ("Square error of a frame", "The same, added up over the pixels of a frame.", ""),
    "mae_mean": ("Error of a pixel", "Mean of how far a pixel is from the truth, in the data's unit.", ""),
    "mae_sum_per_frame": ("Error of a frame", "The same, added up over the pixels of a frame.", ""),
    "ssim": ("Structural similarity", "SSIM of a frame (Wang et al. 2004) on a scale from 0 to 1; 1 is the same.", ""),
    "psnr": ("Signal to noise (dB)", "Peak signal-to-noise ratio of a frame on a scale from 0 to 1.", ""),
    "correlation": ("Correlation", "Of a frame with the truth, both from 0 (not their means), as Shi et al. 2015.", ""),
    "csi": ("CSI", "Mean over the thresholds of the critical success index.", "%"),
    "csi_gain_min": ("Least gain in CSI", "Over the last frame, at the worst of all thresholds and frames.", "%"),
}
"""What each figure is called, what it says in plain words, and its unit."""
AT_THRESHOLD = {
    "csi": "hits among all that came or was foretold",
    "pod": "share of what came that was foretold",
    "far": "share of what was foretold that did not come",
    "hss": "skill against chance (Heidke)",
}


@dataclass(slots=True)
class Sums:
    """What is added up over samples, each row that of a frame ahead: ``add`` takes truth and answer ``(frames,
    channels, height, width)``; ``table`` is ``(frames, thresholds, 4)``: hits, misses, alarms, quiet."""

    thresholds: tuple[float, ...] = ()
    probabilities: bool = False
    """Whether values are probabilities, so that they have a cross-entropy."""
    span: float = 1.0
    """From the lowest value to the highest, for SSIM and PSNR."""
    low: float = 0.0
    """The lowest value, for SSIM: a scale that begins far above 0 (kelvin) would say that all frames are alike."""
    counts: Any = 0
    """Of each frame ahead, samples in which any of it was measured."""
    pixels: int = 0
    frames: dict[str, np.ndarray] = field(default_factory=dict)
    table: Any = 0

    def add(self, truth: np.ndarray, said: np.ndarray, *, scaled: tuple[np.ndarray, np.ndarray] | None = None) -> None:
        """One sample; ``scaled`` are both on a scale from 0 to 1, if their own is another."""
        frames, self.pixels = len(truth), truth[0].size
        a, b = scaled or ((truth - self.low) / self.span, (said - self.low) / self.span)
        known = ~np.isnan(truth.reshape(frames, -1))
        t, s, u, v = (np.where(known, x.reshape(frames, -1), 0) for x in (truth, said, a, b))
        there, count = known.any(1), np.maximum(1, known.sum(1))
        error = s.astype(np.float64) - t
        found = {
            "mse": (error**2).sum(1) / count,
            "mae": abs(error).sum(1) / count,
            "ssim": ssim(torch.from_numpy(np.float32(a)), torch.from_numpy(np.float32(b))).numpy(),
            "psnr": -10 * np.log10(np.maximum(((v.astype(np.float64) - u) ** 2).sum(1) / count, 1e-10)),
            "correlation": _correlation(t, s),
        }
        if self.probabilities:
            p = np.clip(s.astype(np.float64), NEAR, 1 - NEAR)
            found["cross_entropy"] = -((t * np.log(p) + (1 - t) * np.log1p(-p)) * known).sum(1)
        for name, row in found.items():
            self.frames[name] = self.frames.get(name, 0) + np.where(there, row, 0)
        if self.thresholds:
            self.table = self.table + _table(t, s, known, self.thresholds)
        self.counts = self.counts + there

    def mean(self, name: str) -> np.ndarray:
        """A figure by frame ahead ``(frames,)``; NaN where nothing was measured."""
        return _over(self.frames[name], self.counts)

    def _whole(self, name: str) -> float:
        """Its mean over the frames ahead."""
        rows = self.mean(name)[self.counts > 0]
        return float(rows.mean()) if len(rows) else float("nan")

    def at_thresholds(self, name: str) -> np.ndarray:
        """csi, pod, far or hss ``(frames, thresholds)``; NaN where nothing came and nothing was foretold."""
        return _rate(name, self.table)

    def figures(self) -> dict[str, float]:
        """All figures of all frames together."""
        mse, mae = self._whole("mse"), self._whole("mae")
        found = {}
        if self.probabilities:
            found["cross_entropy_per_sequence"] = self._whole("cross_entropy") * int((self.counts > 0).sum())
            found["cross_entropy_per_frame"] = self._whole("cross_entropy")
        found |= {"mse_mean": mse, "mse_sum_per_frame": mse * self.pixels}
        found |= {"mae_mean": mae, "mae_sum_per_frame": mae * self.pixels}
        found |= {name: self._whole(name) for name in ("ssim", "psnr", "correlation")}
        if self.thresholds:
            whole = self.table.sum(0)
            for name in AT_THRESHOLD:
                values = _rate(name, whole)
                if name == "csi":
                    some = values[np.isfinite(values)]
                    found["csi"] = float(some.mean()) if len(some) else 1.0  # nothing came, and nothing was foretold
                found |= {f"{name}_{t:g}": float(v) for t, v in zip(self.thresholds, values, strict=True)}
        return found

    def by_frame(self) -> list[dict[str, Any]]:
        """A row for each frame ahead, for a table."""
        rows: list[dict[str, Any]] = []
        for i in range(len(self.frames["mse"])):
            row: dict[str, Any] = {"frame": str(i + 1)}
            row |= {f"{name}_mean": f"{self.mean(name)[i]:.4g}" for name in ("mse", "mae")}
            row |= {name: f"{self.mean(name)[i]:.4g}" for name in ("ssim", "psnr", "correlation")}
            if self.probabilities:
                row["cross_entropy_per_frame"] = f"{self.mean('cross_entropy')[i]:.1f}"
            for name in AT_THRESHOLD if self.thresholds else ():
                values = self.at_thresholds(name)[i]
                row |= {f"{name}_{t:g}": f"{v:.3f}" for t, v in zip(self.thresholds, values, strict=True)}
            rows.append(row)
        return rows


def named(thresholds: Sequence[float]) -> dict[str, tuple[str, str, str]]:
    """``FIGURES`` with those at ``thresholds``."""
    return FIGURES | {
        f"{name}_{t:g}": (f"{name.upper()} at {t:g}", f"Values of {t:g} or more: {said}.", "%" if name != "hss" else "")
        for name, said in AT_THRESHOLD.items()
        for t in thresholds
    }


def ssim(truth: Tensor, said: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004) of frames ``(frames, channels, height, width)`` on a scale from 0 to 1:
    ``(frames,)``, in a Gaussian window of 11 x 11 (deviation 1.5), as far as it lies inside the frame. A window in part
    of which ``truth`` is NaN speaks of the rest, and counts as much; where nothing was measured, all are alike."""
    known = ~truth.isnan()
    truth, said = (torch.where(known, x, 0.0) for x in (truth, said))
    taps = min(TAPS, *truth.shape[2:])
    place = torch.arange(taps, dtype=truth.dtype, device=truth.device) - (taps - 1) / 2
    weights = torch.exp(-((place / WIDTH) ** 2) / 2)
    weights = weights / weights.sum()

    def blurred(x: Tensor) -> Tensor:
        x = x.flatten(0, 1)[:, None]
        return F.conv2d(F.conv2d(x, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))

    share = blurred(known.to(truth.dtype))
    parts = (truth, said, truth * truth + said * said, truth * said)
    t, s, squares, product = (blurred(x) / share.clamp(min=1e-12) for x in parts)
    variances, both = squares - t * t - s * s, product - t * s
    near, far = 0.01**2, 0.03**2
    y = (2 * t * s + near) * (2 * both + far) / ((t * t + s * s + near) * (variances + far))
    above, below = (x.view(len(truth), -1).sum(1) for x in (y * share, share))
    return torch.where(below > 0, above / below.clamp(min=1e-12), 1.0)


def _correlation(truth: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Of rows; 1 where both are empty."""
    t, s = truth.astype(np.float64), said.astype(np.float64)
    size = np.sqrt((t**2).sum(1) * (s**2).sum(1))
    both = (t * s).sum(1)
    empty = ~(t.any(1) | s.any(1))
    return np.where(empty, 1.0, both / np.maximum(size, 1e-12))


def _table(truth: np.ndarray, said: np.ndarray, known: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Hits, misses, alarms, quiet of rows, as far as they are ``known``: ``(rows, thresholds, 4)``."""
    found = []
    for threshold in thresholds:
        came, told = known & (truth >= threshold), known & (said >= threshold)
        hits, alarms, misses = (came & told).sum(1), (~came & told).sum(1), (came & ~told).sum(1)
        found.append(np.stack([hits, misses, alarms, known.sum(1) - hits - misses - alarms], -1))
    return np.stack(found, 1).astype(np.float64)


def _rate(name: str, table: np.ndarray) -> np.ndarray:
    hits, misses, alarms, quiet = np.moveaxis(table, -1, 0)
    if name == "hss":
        above = 2 * (hits * quiet - misses * alarms)
        below = (hits + misses) * (misses + quiet) + (hits + alarms) * (alarms + quiet)
    else:
        above = alarms if name == "far" else hits
        below = {"csi": hits + misses + alarms, "pod": hits + misses, "far": hits + alarms}[name]
    return _over(above, below)


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
