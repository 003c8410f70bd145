"""Variations of a line picture that leave its text readable: pen, hand, paper and scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from crnn.config import Share, Strength


@dataclass(frozen=True, slots=True, kw_only=True)
class LineAugment:
    """Strengths of the variations; 0 turns one off. ``augment(x, rng)`` takes and gives uint8 ``(height, width)``."""

    share: Share = 0.7
    """Share of lines that are varied at all."""
    slant: Strength = 0.25
    """Most shear to either side, columns for each row."""
    stretch: Strength = 0.12
    """Most change of the width, as a share of it."""
    elastic: Strength = 0.04
    """Typical wandering of the writing line and its spacing, as a share of the height."""
    squeeze: Strength = 0.1
    """Most change of the letters' height inside the line, as a share of it."""
    thickness: Strength = 0.4
    """Most thickening or thinning of strokes, 1 is a pixel to each side."""
    blur: Strength = 0.7
    """Largest radius of a blur, in pixels."""
    noise: Strength = 8.0
    """Largest standard deviation of the paper's grain, in grey levels."""
    contrast: Strength = 0.3
    """Most change of gamma and contrast."""
    blots: Share = 0.1
    """Share of lines of which a piece as wide as a letter is covered with paper or faded."""

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.random() > self.share:
            return x
        picture = self._warp(Image.fromarray(x), rng)
        picture = self._stroke(picture, rng)
        if self.blur and rng.random() < 0.3:
            picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(min(0.2, self.blur), self.blur)))
        x = np.asarray(picture)
        if self.contrast:
            x = self._tone(x, rng)
        if self.blots and rng.random() < self.blots:
            x = self._blot(x, rng)
        if self.noise and rng.random() < 0.4:
            grain = rng.standard_normal(x.shape, dtype=np.float32) * np.float32(rng.uniform(0, self.noise))
            x = np.clip(x + grain, 0, 255).astype(np.uint8)
        return x

    def _warp(self, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Slant, stretch, squeeze and elastic wandering in one resampling: each cell of a coarse mesh over the new
        picture takes a quadrilateral of the old one."""
        width, height = picture.size
        new_width = max(1, round(width * (1 + rng.uniform(-self.stretch, self.stretch))))
        slant = rng.uniform(-self.slant, self.slant) if rng.random() < 0.7 else 0.0
        squeeze = 1 + rng.uniform(-self.squeeze, self.squeeze)
        cells = max(1, round(new_width / (1.5 * height)))
        columns = np.linspace(0, new_width, cells + 1).round().astype(int)
        # where the mesh's corners lie in the old picture; (2, cells + 1): upper and lower edge
        old_x = np.broadcast_to(columns * (width / new_width), (2, cells + 1)).copy()
        old_x += np.array([[0.5], [-0.5]]) * slant * height
        old_x += rng.standard_normal(cells + 1) * self.elastic * height
        middle = 0.5 * height + rng.standard_normal(cells + 1) * self.elastic * height
        half = 0.5 * height * squeeze * (1 + rng.standard_normal(cells + 1) * self.elastic)
        old_y = np.stack([middle - half, middle + half])
        mesh = [
            (
                (int(columns[i]), 0, int(columns[i + 1]), height),
                (
                    *(old_x[0, i], old_y[0, i]),
                    *(old_x[1, i], old_y[1, i]),
                    *(old_x[1, i + 1], old_y[1, i + 1]),
                    *(old_x[0, i + 1], old_y[0, i + 1]),
                ),
            )
            for i in range(cells)
        ]
        # what comes from outside is paper: the warp runs on the negative, where paper is near 0 and so is Pillow's fill
        paper = int(np.percentile(np.asarray(picture)[:, ::4], 75))
        ink = picture.point([max(0, paper - v) for v in range(256)])
        warped = ink.transform((new_width, height), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
        return warped.point([max(0, paper - v) for v in range(256)])

    def _stroke(self, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        if not self.thickness or rng.random() > 0.3:
            return picture
        change = rng.uniform(-self.thickness, self.thickness)
        other = picture.filter(ImageFilter.MinFilter(3) if change > 0 else ImageFilter.MaxFilter(3))
        return Image.blend(picture, other, abs(change))

    def _tone(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        gamma = np.exp(rng.uniform(-self.contrast, self.contrast))
        gain = 1 - self.contrast * rng.random() * 0.5
        table = 255 * ((np.arange(256) / 255) ** gamma * gain + (1 - gain) * rng.random())
        return np.clip(table, 0, 255).astype(np.uint8)[x]

    def _blot(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = x.shape
        x = x.copy()
        w, h = int(rng.integers(2, max(3, height // 3))), int(rng.integers(height // 4, height + 1))
        left, top = int(rng.integers(0, max(1, width - w))), int(rng.integers(0, height - h + 1))
        paper, keep = np.percentile(x[:, ::4], 75), rng.uniform(0, 0.7)
        piece = x[top : top + h, left : left + w]
        x[top : top + h, left : left + w] = (keep * piece + (1 - keep) * paper).astype(np.uint8)
        return x
