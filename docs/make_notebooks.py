"""Run the notebooks of docs/notebooks/ and store what they give, in them and as pages.

    python docs/make_notebooks.py
    python docs/make_notebooks.py layers

Cells run one after the other in one namespace, as in a notebook; no Jupyter is needed.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from as_svg import as_svg

FOLDER = Path(__file__).resolve().parent / "notebooks"
NAMES = ("reading", "classifying", "layers")
SIZE = re.compile(r'viewBox="0 0 (\d+) (\d+)"')


def run(notebook: dict[str, Any]) -> None:
    """Run the cells of ``notebook`` and put into each what it gives; what goes wrong is raised."""
    names: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            value = _run("".join(cell["source"]), names, f"cell {count}")
        cell["execution_count"], cell["outputs"] = count, []
        if said.getvalue():
            cell["outputs"].append({"output_type": "stream", "name": "stdout", "text": _lines(said.getvalue())})
        if value is not None:
            data = _shown(value)
            cell["outputs"].append(
                {"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": data}
            )


def _run(code: str, names: dict[str, Any], where: str) -> Any:
    """The value of the last line, if it is an expression."""
    tree = ast.parse(code, where)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, where, "exec", dont_inherit=True), names)
    if last is None:
        return None
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), where, "eval", dont_inherit=True), names)


def _shown(value: Any) -> dict[str, Any]:
    """A value as notebooks keep it: a picture, HTML, or text."""
    if hasattr(value, "_repr_html_"):
        return {"text/html": _lines(value._repr_html_()), "text/plain": ["<drawing>"]}
    if hasattr(value, "_repr_png_"):
        file = io.BytesIO()
        value.save(file, "PNG", optimize=True)
        return {"image/png": b64encode(file.getvalue()).decode(), "text/plain": ["<picture>"]}
    return {"text/plain": _lines(repr(value))}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def page(name: str, notebook: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    """The notebook as Markdown, and the files that stand in it by their names."""
    pieces, files = [], dict[str, bytes]()
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            pieces.append(source)
            continue
        pieces.append(f"```py\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {"text/plain": output.get("text")})
            file = f"{name}-{len(files) + 1}"
            if "text/html" in data:
                html = "".join(data["text/html"])
                size = SIZE.search(html)
                assert size is not None, "a drawing says how large it is"
                files[f"{file}.svg"] = as_svg(file, [html], width=int(size[1]), height=int(size[2]) + 8).encode()
                pieces.append(f"![Output]({file}.svg)")
            elif "image/png" in data:
                files[f"{file}.png"] = b64decode(data["image/png"])
                pieces.append(f"![Output]({file}.png)")
            else:
                pieces.append(f"```text\n{''.join(data['text/plain']).rstrip()}\n```")
    pieces.append(f"This page is the notebook [{name}.ipynb]({name}.ipynb), run by the tests.")
    return "\n\n".join(pieces) + "\n", files


def main(names: list[str]) -> None:
    for name in names or NAMES:
        path = FOLDER / f"{name}.ipynb"
        notebook = json.loads(path.read_text(encoding="utf-8"))
        run(notebook)
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        for old in FOLDER.glob(f"{name}-*"):
            old.unlink()
        text, files = page(name, notebook)
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
        for file, data in files.items():
            (FOLDER / file).write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1:])
