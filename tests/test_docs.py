"""What the documentation says is true: its commands and its Python run, its generated pages are up to date, its links
lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from crnn import cli
from crnn.cli import app
from crnn.data.formats import FORMATS
from crnn.data.inputs import INPUTS
from crnn.models import MODELS
from crnn.tasks import TASKS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
QUICK = ("rcnn_96", "nin", "text_rcnn", "tcn")
"""Models whose layers are looked at again in a moment."""


def script(name: str) -> ModuleType:
    """A program of docs/, which may import another one."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


running = script("run_page")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def shortened(command: str) -> str:
    """A command that a page says as people should use it, in seconds."""
    command = re.sub(r"--scale \S+", "--scale 0.02", re.sub(r"--epochs \d+", "--epochs 1", command))
    return re.sub(r"--html \S+", r"\g<0> --explain 1", command) if command.startswith("crnn test ") else command


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that looks like the repository's root, where commands may write."""
    for name in ("examples", "recipes"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    for owner, name in ((MODELS["cascade"], "accepts"), (TASKS["classify"], "kinds")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    tables = (MODELS, TASKS, FORMATS, INPUTS)  # pages on extending put entries of their own into them
    before = [set(table) for table in tables]
    yield tmp_path
    for table, names in zip(tables, before, strict=True):
        for name in set(table) - names:
            del table[name]


@pytest.mark.parametrize("page", [p for p in PAGES if any(running.steps(p.read_text()))], ids=name_of)
def test_commands_and_python_run(page, checkout, capfd):
    running.run(page, change=shortened)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_that_are_not_run_can_be_understood(page):
    """They have no data here, but their options are those that there are."""
    for language, block in running.BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").split("\n") if not language else ():
            if line.startswith("crnn "):
                words = shlex.split(re.split(r"[<|]", line)[0], comments=True)[1:]
                app.parse_args(cli._input_last(words), exit_on_error=False, print_error=False)


def test_generated_pages_are_up_to_date():
    results = script("make_results")
    for name, made in (("recipes", script("make_recipes").page()), ("results", results.table(results.read()))):
        now = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        assert now == made, f"run: python docs/make_{name}.py"
        assert all(line.endswith("|") for line in made.split("\n") if line.startswith("|")), "a row is one line"


def test_pages_of_models_are_up_to_date():
    script("make_results")
    make = script("make_models")
    results, folder = make.read(), ROOT / "docs" / "models"
    assert {path.stem for path in folder.glob("*.md")} == set(MODELS), "run: python docs/make_models.py"
    for name in MODELS:
        page = (folder / f"{name}.md").read_text(encoding="utf-8")
        again = f"run: python docs/make_models.py {name}"
        assert make.said(name) in page and page.endswith("\n".join(make.figures(name, results)) + "\n"), again
        if name in QUICK:
            assert page == make.page(name, results), again
            assert (folder / f"{name}.svg").read_text(encoding="utf-8") == make.drawing(name), again


def test_every_format_is_told():
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert not [name for name in FORMATS if f"`{name}`" not in page]


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
