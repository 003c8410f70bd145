"""What mkdocs does not do by itself: pages from outside docs/, formulas as MathML, commands without their prompt."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {
    "project/architecture.md": "ARCHITECTURE.md",
    "project/contributing.md": "CONTRIBUTING.md",
    "project/changelog.md": "CHANGELOG.md",
    "project/examples.md": "examples/README.md",
    "project/zoo.md": "src/crnn/zoo/README.md",
}
"""Page of the site to file of the repository."""
PAGES = {source: page for page, source in OUTSIDE.items()}
CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.M | re.S)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", re.S)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#:\s]+)(#[^)\s]*)?\)")
COMMANDS = re.compile(r'<div class="language-sh highlight">.*?</div>', re.S)
OPTION = re.compile(r"(?<=[\s>])--[a-z-]+")
MARK = "formula-{}-stands-here"


def on_config(config: Any) -> Any:
    """Put the pages of models into the navigation, in the order of the table of models."""
    there = {path.stem for path in (ROOT / "docs" / "models").glob("*.md")}
    table = (ROOT / "src" / "crnn" / "models" / "__init__.py").read_text(encoding="utf-8")
    names = [name for name in re.findall(r'^    "(\w+)": \w+,$', table, re.M) if name in there]
    for section in config.nav:
        for pages in section.values():
            if "models/" in pages:
                at = pages.index("models/")
                pages[at : at + 1] = [f"models/{name}.md" for name in [*names, *sorted(there - set(names))]]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie outside."""
    for page, source in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links as the site needs them, marks in the places of formulas, commands that can be copied."""
    place = page.file.src_uri
    source = OUTSIDE.get(place, f"docs/{place}")
    page.meta["formulas"] = formulas = []

    def formula(found: re.Match[str]) -> str:
        display = found[1] is not None
        formulas.append(convert((found[1] or found[2]).strip(), display="block" if display else "inline"))
        mark = MARK.format(len(formulas) - 1)
        return f"\n\n{mark}\n\n" if display else mark

    def link(found: re.Match[str]) -> str:
        return _link(found, source, place)

    pieces = CODE.split(markdown)
    for i, piece in enumerate(pieces):
        pieces[i] = _without_prompt(piece) if i % 2 else LINK.sub(link, FORMULA.sub(formula, piece))
    return "".join(pieces)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Formulas in the places of their marks; options of commands as words, which are not broken at their dashes."""
    for i, formula in enumerate(page.meta["formulas"]):
        html = html.replace(MARK.format(i), formula, 1)
    return COMMANDS.sub(lambda block: OPTION.sub(r'<span class="option">\g<0></span>', block[0]), html)


def _link(found: re.Match[str], source: str, place: str) -> str:
    """A link of the repository's file ``source`` as one of the site's page ``place``; what has no page is named."""
    image, words, target, anchor = found[1], found[2], found[3], found[4] or ""
    meant = normpath(str(PurePosixPath(source).parent / target))
    if meant in PAGES:
        page = PAGES[meant]
    elif meant.startswith("docs/") and meant != "docs/":
        page = meant.removeprefix("docs/")
        page = f"{page}/README.md" if (ROOT / meant).is_dir() else page
    elif (ROOT / meant).exists():
        return f"{words} (`{meant}`)" if meant not in words else words
    else:
        return found[0]  # mkdocs says that it leads nowhere
    return f"{image}[{words}]({relpath(page, str(PurePosixPath(place).parent))}{anchor})"


def _without_prompt(code: str) -> str:
    """A block of commands alone without the sign before each, so that it can be copied."""
    lines = code.split("\n")
    inner = [line for line in lines[1:-1] if line]
    if lines[0] != "```" or not inner:
        return code
    if all(line.startswith("$ ") for line in inner):
        return "\n".join(["```sh", *(line.removeprefix("$ ") for line in lines[1:-1]), "```"])
    commands = all(line.startswith(("crnn ", "pip ", "python ")) for line in inner)
    return "\n".join(["```sh", *lines[1:]]) if commands else code
