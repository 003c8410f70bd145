"""The notebooks run from their first cell to their last, and their pages say what is stored in them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted(path.stem for path in (ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture
def make(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import make_notebooks

    yield make_notebooks
    for name in ("make_notebooks", "as_svg"):
        sys.modules.pop(name, None)


def stored(name: str) -> dict:
    return json.loads((ROOT / "docs" / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))


def shortened(notebook: dict) -> dict:
    """The same cells, which train for one epoch."""
    for cell in notebook["cells"]:
        cell["source"] = [re.sub(r"(epochs(?:\": |=))\d+", r"\g<1>1", line) for line in cell["source"]]
    return notebook


@pytest.mark.parametrize("name", NAMES)
def test_they_run(name, make, tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    notebook = shortened(stored(name))
    kinds = [[output["output_type"] for output in cell.get("outputs", ())] for cell in notebook["cells"]]
    make.run(notebook)
    again = [[output["output_type"] for output in cell.get("outputs", ())] for cell in notebook["cells"]]
    assert again == kinds, f"run: python docs/make_notebooks.py {name}"


@pytest.mark.parametrize("name", NAMES)
def test_pages_are_made_of_them(name, make):
    text, files = make.page(name, stored(name))
    folder = ROOT / "docs" / "notebooks"
    assert (folder / f"{name}.md").read_text(encoding="utf-8") == text, f"run: python docs/make_notebooks.py {name}"
    assert {path.name for path in folder.glob(f"{name}-*")} == set(files)
    assert all((folder / file).read_bytes() == data for file, data in files.items())
