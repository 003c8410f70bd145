"""Testing a reader of whole pages: lines found, and letters read, against PAGE files."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crnn.data.page_lines import TextLine
from crnn.data.reading_order import in_order
from crnn.deploy.page import PageReader, ReadPage
from crnn.errors import CrnnError, DataError
from crnn.metrics.baselines import FIGURES, PageCounts, matched
from crnn.train.report import write_html
from crnn.types import Report, Sample

DARK = 0.1
"""Share of a page's fullest row from which the rule of thumb takes a row for text."""

SHOWN = 700
"""Pixels to which the width of a picture is limited in reports."""
NOTE = "Green outlines are lines of the truth, red ones are none, blue are baselines; lines read rightly are left out."


@dataclass(frozen=True, slots=True)
class TestedPages:
    """A report, the answer to each page, and the errors of those that could not be read."""

    report: Report
    samples: tuple[Sample, ...]
    pages: tuple[ReadPage, ...]
    left_out: tuple[CrnnError, ...]


def evaluate_pages(
    reader: PageReader, samples: Sequence[Sample], *, progress: Callable[[], None] = lambda: None
) -> TestedPages:
    """Figures of ``reader`` on pages whose lines are known (``crnn.data.formats.page.whole``), beside those of its
    readers on the true lines, and of rows of ink without a network. Raises ``DataError`` if no page can be read."""
    counts = {name: PageCounts() for name in ("", "true lines, read", "rows of ink")}
    seen, pages, left_out, rows = [], [], list[CrnnError](), []
    for sample in samples:
        try:
            grey = reader.grey(sample)
            found = reader.found(sample.id, grey, in_order(reader.find(grey)))
        except CrnnError as error:
            left_out.append(error)
            continue
        finally:
            progress()
        unread = [replace(line, text=None) for line in sample.y]
        known = reader.found(sample.id, grey, [unread] if unread else [])
        counts[""].add(sample.y, found.lines)
        counts["true lines, read"].add(sample.y, known.lines)
        counts["rows of ink"].add(sample.y, rows_of_ink(grey))
        rows.append(row(sample, found))
        seen.append(sample)
        pages.append(found)
    if not seen:
        given = f"none of {len(samples)} pages can be tested ({left_out[0] if left_out else 'there are none'})"
        raise DataError(given, expected="PAGE files with their pictures", do="See docs/page.md.")
    figures = {name: one.figures() for name, one in counts.items()}
    unasked = {"": (), "true lines, read": ("line",), "rows of ink": ("cer",)}
    for name, some in figures.items():
        strange = (
            *unasked[name],
            *(() if reader.readers else ("cer",)),
        )  # of lines that are given, or that nobody read
        for key in [key for key in some if key.startswith(strange)]:
            del some[key]
    baselines = {name: _without_intervals(some) for name, some in figures.items() if name and some}
    rows.sort(key=lambda one: -one["badness"])
    return TestedPages(Report(figures[""], tuple(rows), baselines), tuple(seen), tuple(pages), tuple(left_out))


def write_page(path: Path, tested: TestedPages, reader: PageReader, *, title: str, summary: dict[str, Any]) -> None:
    """One page to look at: the figures, and each tested page with what was found on it, the worst first."""
    known = {sample.id: (sample, page) for sample, page in zip(tested.samples, tested.pages, strict=True)}

    def shown(row: Mapping[str, Any]) -> str:
        sample, page = known[row["id"]]
        return page_html(reader.grey(sample), sample, page)

    report = replace(tested.report, details={"figures": FIGURES, "note": NOTE})
    write_html(path, report, title=title, summary=summary, fragments=shown)


def page_html(grey: np.ndarray, sample: Sample, page: ReadPage) -> str:
    """An HTML fragment: the page ``grey`` with the lines that were found, and what was read beside the truth."""
    picture, size = Image.fromarray(grey), page.size
    picture.thumbnail((SHOWN, 2 * SHOWN))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=60)
    image = f'<image href="data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}" width="{size[0]}" '
    drawn = image + f'height="{size[1]}" preserveAspectRatio="none"/>'
    pairs = dict(matched(sample.y, page.lines))
    for i, line in enumerate(page.lines):
        colour = "#1a7f37" if i in pairs.values() else "#d1242f"
        outline, base = (" ".join(f"{x:.0f},{y:.0f}" for x, y in points) for points in (line.polygon, line.baseline))
        width = max(size) / 400
        drawn += f'<polygon points="{outline}" fill="none" stroke="{colour}" stroke-width="{width:.1f}"/>'
        drawn += f'<polyline points="{base}" fill="none" stroke="#0969da" stroke-width="{width:.1f}"/>'
    svg = (
        f'<svg viewBox="0 0 {size[0]} {size[1]}" style="max-width:100%;width:{picture.width}px;height:auto" '
        f'role="img"><title>{escape(sample.id)}</title>{drawn}</svg>'
    )
    said = [line.text or "" for line in page.lines]
    rows = [(line.text or "", said[pairs[i]] if i in pairs else "(not found)") for i, line in enumerate(sample.y)]
    rows += [("(not there)", text) for j, text in enumerate(said) if j not in pairs.values()]
    cells = "".join(f"<tr><td>{escape(a)}</td><td>{escape(b)}</td></tr>" for a, b in rows if a != b)
    return svg + (f"<table><tr><th>truth</th><th>read</th></tr>{cells}</table>" if cells else "")


def row(sample: Sample, page: ReadPage) -> dict[str, Any]:
    """One line of a report; ``badness`` sorts it, worst first."""
    counts = PageCounts()
    counts.add(sample.y, page.lines)
    lines, said, both, letters, errors, _, _ = counts.rows[0]
    bad = errors / max(1, letters) if letters else (lines + said - 2 * both) / max(1, lines)
    return {"id": sample.id, "lines": lines, "found": said, "right": both, "errors": errors, "badness": bad}


def rows_of_ink(grey: np.ndarray) -> list[TextLine]:
    """Lines without a network: stretches of rows with ink, from their first to their last column with any."""
    ink = np.percentile(grey, 75) - grey.astype(np.float32)
    ink = np.clip(ink / max(24.0, float(ink.max())) - 0.25, 0, None)
    full = ink.sum(1)
    dark = np.pad(full > DARK * full.max(initial=1e-9), 1)
    found = []
    for top, bottom in np.flatnonzero(np.diff(dark.astype(np.int8))).reshape(-1, 2).tolist():
        columns = np.flatnonzero(ink[top:bottom].max(0) > 0)
        if bottom - top > 4 and len(columns) > 1:
            height = float(bottom - top)
            ends = ((float(columns[0]), float(bottom)), (float(columns[-1] + 1), float(bottom)))
            found.append(TextLine(ends, height, 0.3 * height))
    return found


def _without_intervals(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if not name.endswith(("_low", "_high"))}
