"""Small made pictures and files for the tests of formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """Makes a white picture in ``tmp_path``: ``picture("a/b.png", size=(40, 20), dpi=300)``."""

    def make(name: str, size: tuple[int, int] = (40, 20), dpi: float | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 255).save(path, **({"dpi": (dpi, dpi)} if dpi else {}))
        return path

    return make


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file in ``tmp_path``, text as UTF-8."""

    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make
