"""What the documentation says is true: its commands run, its Python runs, its generated pages are up to date."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from crnn.cli import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def commands(page: Path) -> list[str]:
    return [line[2:] for block in blocks(page, "") for line in block.split("\n") if line.startswith("$ crnn ")]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that looks like the repository's root, where commands may write."""
    for name in ("examples", "recipes"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda p: p.name)
def test_commands_run(page, checkout, capfd):
    for command in commands(page):
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(command, comments=True)[1:])
        out, err = capfd.readouterr()
        assert stop.value.code == 0, f"{command}\n{out}\n{err}"


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_python_runs(page, checkout):
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), names)


@pytest.mark.parametrize(("script", "page"), [("make_recipes", "recipes.md"), ("make_results", "results.md")])
def test_generated_pages_are_up_to_date(script, page):
    spec = importlib.util.spec_from_file_location(script, ROOT / "docs" / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.page() if script == "make_recipes" else module.table(module.read())
    assert (ROOT / "docs" / page).read_text(encoding="utf-8") == made, f"run: python docs/{script}.py"


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
