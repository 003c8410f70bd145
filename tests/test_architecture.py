"""The house rules, read from the source: who imports whom, sizes, words; and a new entry is one file and its line."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import crnn
from crnn.config import documented

ROOT = Path(crnn.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]
every_file = pytest.mark.parametrize("path", FILES, ids=NAMES)

ROWS = (
    *("types", "errors", "registry late", "config files findings svg", "recipe"),
    *("text layers metrics precision", "models data decode"),
    *("tasks", "manifest", "bundle", "layer_kinds", "watch", "describe", "drawing"),
    *("deploy", "train", "api", "cli", "__main__"),
)
"""Lower may not import higher, and none of a row another of that row. Testing is predicting and comparing, so
``deploy`` lies under ``train``."""
SIDES = ("models", "tasks", "data/formats", "data/inputs")
"""Folders of entries that do not import each other: what they share, files or folders, begins with ``_``."""
LATE = (
    *("lxml", "pyarrow", "bidi", "soundfile", "soxr", "av", "tensorboard", "matplotlib", "onnx", "onnxruntime"),
    *("tokenizers", "h5py", "netCDF4", "huggingface_hub", "ray", "starlette", "uvicorn", "prometheus_client"),
    "fsspec",
)
"""Libraries of the extras."""
MOST_LINES, MOST_PARAMETERS = 300, 8


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def row_of(name: str) -> int:
    return next(i for i, names in enumerate(ROWS) if name in names.split())


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def for_types_only(path: Path) -> set[ast.AST]:
    """What stands under ``if TYPE_CHECKING``."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            found |= {inner for statement in node.body for inner in ast.walk(statement)}
    return found


def imports(path: Path, *, types_too: bool = True, top: bool = False) -> Iterator[str]:
    """Full names of the modules that ``path`` imports, wherever it does; ``top``: when it is itself imported."""
    skipped = set() if types_too else for_types_only(path)
    nodes: Any = top_level(tree(path)) if top else ast.walk(tree(path))
    for node in nodes:
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole.startswith("crnn.") and is_module(whole) else node.module


def top_level(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child
            yield from top_level(child)


def is_module(name: str) -> bool:
    path = ROOT.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


# who imports whom


def test_every_module_has_its_row() -> None:
    there = {name.split("/")[0].removesuffix(".py") for name in NAMES} - {"__init__"}
    assert there <= set(" ".join(ROWS).split()), "say in ROWS where a new module lies"


@every_file
def test_lower_rows_do_not_import_higher_ones(path: Path) -> None:
    own = module_of(path).split(".")[1:2]
    if not own:  # crnn itself: the public names, imported when they are first used
        assert set(imports(path, top=True, types_too=False)) <= {"__future__", "typing"}
        return
    for name in imports(path):
        if not name.startswith("crnn.") or name.split(".")[1] == own[0]:
            continue
        assert row_of(name.split(".")[1]) < row_of(own[0]), f"{own[0]} imports {name}, which does not lie below it"


def test_tasks_do_not_know_models() -> None:
    for path in sorted((ROOT / "tasks").rglob("*.py")):
        assert not [name for name in imports(path) if name.startswith("crnn.models")], "they meet in bundle.build"


@pytest.mark.parametrize("folder", SIDES)
def test_entries_do_not_import_each_other(folder: str) -> None:
    package = "crnn." + folder.replace("/", ".")
    for path in sorted((ROOT / folder).rglob("*.py")):
        if path == ROOT / folder / "__init__.py":
            continue
        for name in imports(path):
            if not name.startswith(f"{package}."):
                assert name != package, f"{path.name} imports the table that it stands in"
                continue
            other = name.removeprefix(f"{package}.").split(".")[0]
            parts_of_one = folder == "data/inputs" and other.startswith(f"{path.stem}_")
            assert other.startswith("_") or parts_of_one, f"{path.name} imports {other}"


@every_file
def test_only_types_may_name_torch_without_importing_it(path: Path) -> None:
    named = set(imports(path)) - set(imports(path, types_too=False))
    allowed = {"types.py": {"torch"}, "late.py": {"torch", "torch.nn.functional"}}.get(str(path.relative_to(ROOT)))
    if allowed is not None:
        assert named == allowed
    else:
        assert not any(name.split(".")[0] != "crnn" for name in named)


def test_optional_libraries_are_imported_late_and_in_one_file() -> None:
    users: dict[str, set[str]] = {}
    for path, name in zip(FILES, NAMES, strict=True):
        for library in {module.split(".")[0] for module in imports(path, types_too=False)} & set(LATE):
            users.setdefault(library, set()).add(name)
        at_once = {module.split(".")[0] for module in imports(path, types_too=False, top=True)}
        assert not at_once & set(LATE), f"{name} imports {at_once & set(LATE)} when it is imported itself"
    assert all(len(names) == 1 for names in users.values()), users
    assert users.keys() >= {"lxml", "pyarrow", "bidi"}, "else this test looks at nothing"


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, json\n{code}\nsys.stderr.write(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT.parent)},
    )
    return set(json.loads(done.stderr))


@pytest.mark.parametrize(
    "code",
    [
        "import crnn, crnn.cli",
        "import crnn.cli\ntry: crnn.cli.main(['--help'])\nexcept SystemExit as end: assert end.code == 0",
        "import crnn.cli\ntry: crnn.cli.main(['train', '--help'])\nexcept SystemExit as end: assert end.code == 0",
    ],
)
def test_nobody_waits_for_torch_who_does_not_need_it(code: str) -> None:
    heavy = {"torch", "lightning", "torchmetrics", "numpy", "PIL", "safetensors", "jinja2", "rapidfuzz", *LATE}
    found = modules_after(code)
    assert "crnn.cli.train" in found
    assert not found & heavy


# sizes and words


@every_file
def test_files_and_constructors_are_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            parameters = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)][1:]
            assert len(parameters) <= MOST_PARAMETERS, f"line {node.lineno}: {', '.join(parameters)}"


@every_file
def test_the_first_line_says_what_the_file_is(path: Path) -> None:
    words = ast.get_docstring(tree(path))
    assert words and len(words.splitlines()[0]) > 15
    assert words.splitlines()[0].rstrip()[-1] in ".:,;)" or words.splitlines()[1:], words


def public(path: Path) -> Iterator[tuple[str, Any, bool]]:
    """Name, node and whether it is a method, for what others may use."""
    for node in tree(path).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node.name, node, False
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef) and (
                        not inner.name.startswith("_") or inner.name == "__init__"
                    ):
                        yield f"{node.name}.{inner.name}", inner, True


@every_file
def test_public_names_are_documented(path: Path) -> None:
    silent = [name for name, node, method in public(path) if not method and not ast.get_docstring(node)]
    assert not silent


@every_file
def test_public_signatures_are_annotated_and_say_what_they_take(path: Path) -> None:
    for name, node, method in public(path):
        if not isinstance(node, ast.FunctionDef):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
        for argument in arguments[method and not static :]:
            assert argument.annotation is not None, f"{name}: {argument.arg} has no type"
        assert node.returns is not None, f"{name} does not say what it gives"
        if node.args.kwarg is not None:
            assert (node.name, node.args.kwarg.arg) == ("to", "options"), f"{name} takes **{node.args.kwarg.arg}"


@every_file
def test_nothing_is_printed_and_no_default_can_change(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "breakpoint", "eval", "exec"), f"line {node.lineno}"
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)):
                assert not isinstance(default, (ast.List, ast.Dict, ast.Set)), f"line {default.lineno}"
        assert not isinstance(node, ast.Global), f"line {getattr(node, 'lineno', 0)}: global state"


@every_file
def test_no_path_of_somebodys_machine(path: Path) -> None:
    found = re.findall(
        r"""["' ](/(?:home|work|tmp|Users|root|opt|mnt|data)/[^"' ]*)""", path.read_text(encoding="utf-8")
    )
    assert not found


def settings_classes() -> list[type]:
    found = {}
    for path in FILES:
        if path.stem == "__main__":
            continue
        module = importlib.import_module(module_of(path))
        for owner in (module, *(v for v in vars(module).values() if isinstance(v, type))):
            for cls in vars(owner).values():
                if isinstance(cls, type) and cls.__name__.endswith(("Settings", "Augment")):
                    found[f"{cls.__module__}.{cls.__qualname__}"] = cls
    return [found[name] for name in sorted(found)]


def test_every_setting_is_documented() -> None:
    classes = settings_classes()
    assert {cls.__qualname__ for cls in classes} >= {"TrainSettings", "DataSettings", "CRNN.Settings", "Line.Settings"}
    for cls in classes:
        missing = [name for name in cls.__dataclass_fields__ if not documented(cls).get(name)]  # type: ignore[attr-defined]
        assert not missing, f"{cls.__qualname__}: {missing}"


# a new entry is one file and its line

FORMAT = '''
"""Pictures whose names are their texts: ``ab.1.png`` says ab."""

from crnn.data.formats._files import walk
from crnn.types import Sample

WANTED = "pictures named as TEXT.NUMBER.png"


def recognise(path):
    """Whether ``path`` is such a folder."""
    return path.is_dir() and (path / "toy").is_file()


def read(path, left_out):
    """A sample for each picture."""
    for file in walk(path):
        if file.suffix == ".png":
            yield Sample(file.name, file, file.name.split(".")[0])
'''
ENCODER = '''
"""toy: a window of columns and nothing more."""

from dataclasses import dataclass

from torch import nn

from crnn.layers import zero_padding
from crnn.types import Features, Level, Seq


class Toy(nn.Module):
    """Line picture to features of four columns."""

    accepts = ("line",)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        width: int = 24
        """Features."""

    def __init__(self, spec, settings=Settings()):
        super().__init__()
        self.window = nn.Sequential(nn.Linear(4 * spec.space[0], settings.width), nn.ReLU())
        self.levels = (Level(settings.width, (), 4),)

    def out_lengths(self, lengths):
        return lengths // 4

    def forward(self, seq, state=None):
        lengths = self.out_lengths(seq.lengths)
        steps = seq.x.shape[1] // 4
        x = seq.x[:, : 4 * steps].flatten(2).unflatten(1, (steps, 4)).flatten(2)
        return Features((Seq(zero_padding(self.window(x), lengths, axis=1), lengths),))
'''
USE = """
import json, sys
from pathlib import Path
from rich.console import Console
import crnn
from crnn.cli import main
from crnn.data.formats import FORMATS, open_data
from crnn.models import MODELS
assert "toy" in FORMATS and "toy" in MODELS, crnn.__file__
data, run = sys.argv[1:]
train = {"epochs": 3, "workers": 0, "threads": 1, "augment": False, "precision": "float32", "batch_size": 4}
recipe = {"input": {"height": 16}, "encoder": {"name": "toy", "width": 16}, "data": {"train": data}, "train": train}
crnn.fit(recipe, run)
assert [s.y for s in open_data(data)][:2] == ["ab", "ab"]
read = crnn.load(run, precision="float32")
assert read(sorted(Path(data).glob("*.png"))).__len__() == 12
assert read.bundle.encoder == {"name": "toy", "width": 16}
try: main(["test", run, data, "--json", run + "/figures.json"])
except SystemExit as end: assert not end.code
try: main(["predict", run, data, "--out", run + "/texts.txt"])
except SystemExit as end: assert not end.code
assert json.load(open(run + "/figures.json"))["model"] == "toy"
assert len(open(run + "/texts.txt").readlines()) == 12
"""


def one_line(path: Path, table: str, entry: str, imported: str) -> None:
    """Put ``entry`` into the table of a registry, and the import that it needs before it."""
    text = path.read_text(encoding="utf-8")
    changed = re.sub(rf"(?m)^({table}\b.*=\s*\{{)", rf'{imported}\n\1"toy": {entry}, ', text)
    assert changed != text
    path.write_text(changed, encoding="utf-8")


def test_a_toy_format_and_a_toy_encoder_are_one_file_and_one_line_each(tmp_path: Path, made: Any) -> None:
    package = tmp_path / "src" / "crnn"
    shutil.copytree(ROOT, package, ignore=shutil.ignore_patterns("__pycache__", "zoo"))
    (package / "data/formats/toy.py").write_text(FORMAT)
    (package / "models/toy.py").write_text(ENCODER)
    one_line(package / "data/formats/__init__.py", "FORMATS", "toy", "from crnn.data.formats import toy")
    one_line(package / "models/__init__.py", "MODELS", "Toy", "from crnn.models.toy import Toy")
    data = tmp_path / "data"
    data.mkdir()
    (data / "toy").touch()
    for i, source in enumerate(sorted(made("transcribe").glob("*.png"))[:12]):
        shutil.copy(source, data / f"{'ab' if i < 6 else 'cd'}.{i:02}.png")
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", USE, str(data), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
