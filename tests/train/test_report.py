"""Reports: JSON in the agreed layout, and a page that is whole, safe and complete."""

from __future__ import annotations

import json
import os
import re
import subprocess
from base64 import b64encode
from hashlib import sha256
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crnn.data.inputs._shown import picture_html
from crnn.metrics import text
from crnn.tasks._lines.html import NOTE, line_html
from crnn.train import report as module
from crnn.train.report import Result, commit, machine, write_html, write_json
from crnn.types import Report

HEAT = np.array([0.1, -1.0, 0.0])
KEYS = [
    *("name", "task", "model", "data", "split", "metrics", "baselines", "command", "seed", "machine", "threads"),
    *("precision", "commit", "date", "parameters", "train_seconds"),
]


def result(**changes: Any) -> Result:
    values: dict[str, Any] = {
        **{"name": "transcribe-x", "task": "transcribe", "model": "crnn", "data": "lines", "split": "test"},
        **{"metrics": {"cer": 0.0118}, "baselines": {"says nothing": {"cer": 1.0}}, "command": "crnn test é"},
        **{"seed": 1, "threads": 2, "precision": "float32", "parameters": 1234, "train_seconds": 5.5},
    }
    return Result(**(values | changes))


def readings(count: int = 3, **details: Any) -> Report:
    pairs = [(f"un petit pas {i}", f"un petit pa{'s' * (i % 2)} {i}") for i in range(count)]
    rows = tuple(
        {"id": f"line{i}.png", "truth": t, "read": r, "score": 0.9, "badness": text.compare(t, r).total}
        for i, (t, r) in enumerate(pairs)
    )
    found = {"figures": text.FIGURES, "confusions": text.confusions(pairs), "note": NOTE}
    return Report(text.score(pairs), rows, {"says nothing": {"cer": 1.0, "wer": 1.0}}, found | details)


def page(path: Path, report: Report, **changes: Any) -> str:
    values: dict[str, Any] = {
        **{"title": "Lines", "summary": {"Data": "lines-x"}},
        "fragments": lambda row: line_html(row["truth"], row["read"], row["score"], picture_html(b"\x89PNG", HEAT)),
    }
    write_html(path, report, **(values | changes))
    return path.read_text(encoding="utf-8")


# JSON


def test_json_has_the_agreed_keys_in_order(tmp_path: Path) -> None:
    write_json(tmp_path / "results" / "x.json", result())
    found = json.loads((tmp_path / "results" / "x.json").read_text(encoding="utf-8"))
    assert list(found) == KEYS
    assert found["metrics"] == {"cer": 0.0118} and found["command"] == "crnn test é"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"])
    assert os.listdir(tmp_path / "results") == ["x.json"]


def test_json_is_strict_whatever_the_numbers_are(tmp_path: Path) -> None:
    metrics = {"cer": np.float32(0.5), "wer": float("nan"), "csi": float("inf"), "lines": np.int64(3)}
    write_json(tmp_path / "x.json", result(metrics=metrics, command="read \udcff.png"))
    found = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert found["metrics"] == {"cer": 0.5, "wer": None, "csi": None, "lines": 3}


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", result())
    before = (tmp_path / "x.json").read_bytes()
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", result(command=object()))
    assert (tmp_path / "x.json").read_bytes() == before
    assert os.listdir(tmp_path) == ["x.json"]


def test_machine_names_processor_cores_and_memory() -> None:
    assert re.fullmatch(r".+, \d+ cores?(, \d+ GiB)?(, .+)?", machine())


def test_machine_without_the_means_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(OSError))
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert re.match(r".+, \d+ core", machine())


def checkout(folder: Path, monkeypatch: pytest.MonkeyPatch, *, tracked: bool) -> str:
    """A git repository in which this package lies, and whether it is part of it; its commit."""

    def git(*words: str) -> str:
        names = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *names, "-C", str(folder), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set where the tests run in a hook of git
        monkeypatch.delenv(name, raising=False)
    git("init", "-q")
    (folder / "report.py").write_text("x")
    (folder / "other.py").write_text("y")
    git("add", "report.py" if tracked else "other.py")
    git("commit", "-qm", "m", "--no-verify")
    monkeypatch.setattr(module, "__file__", str(folder / "report.py"))
    return git("rev-parse", "--short", "HEAD")


def test_commit_is_that_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = checkout(tmp_path, monkeypatch, tracked=True)
    assert commit() == expected


def test_commit_of_somebody_elses_checkout_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout(tmp_path, monkeypatch, tracked=False)
    assert commit() == "unknown"


def test_commit_outside_git_and_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "__file__", str(tmp_path / "report.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() == "unknown"
    monkeypatch.setenv("PATH", "")
    assert commit() == "unknown"


# HTML


def test_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    html = page(tmp_path / "r.html", readings())
    addresses = re.findall(r"\b(?:src|href|action|poster|srcset|data)\s*=\s*[\"']?([^\"'>\s]*)", html)
    assert addresses and all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", html.replace("data:", ""))


def test_only_the_pages_own_script_may_run(tmp_path: Path) -> None:
    html = page(tmp_path / "r.html", readings())
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.S)
    assert f"script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in html
    assert "default-src 'none'" in html


def test_everything_but_fragments_is_escaped(tmp_path: Path) -> None:
    bad = "<script>alert('x')</script>\"onload=\""
    report = Report(
        {"cer": 0.1, bad: 0.2},
        ({"id": bad, "truth": bad, "read": bad, "score": 0.5},),
        {bad: {bad: 1.0}},
        {"figures": {"cer": (bad, bad, "%")}, "confusions": [(bad, "<", 1), ("\x00", "\u202e", 1)], "note": bad},
    )
    html = page(tmp_path / "r.html", report, title=bad, summary={bad: bad})
    assert html.count("<script") == 1 and bad not in html
    assert escape(bad)[:10] in html


def test_page_is_well_formed(tmp_path: Path) -> None:
    class Check(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.stack: list[str] = []

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag not in ("meta", "img", "input"):
                self.stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.stack.pop() == tag

    check = Check()
    check.feed(page(tmp_path / "r.html", readings(4)))
    check.close()
    assert not check.stack


def test_figures_have_intervals_and_meanings(tmp_path: Path) -> None:
    report = readings()
    html = page(tmp_path / "r.html", report)
    for label, meaning, _ in text.FIGURES.values():
        assert label in html and meaning in html
    low, high = report.metrics["cer_low"], report.metrics["cer_high"]
    assert f"{100 * low:.2f} % to {100 * high:.2f} %" in html
    assert "cer_low" not in html
    assert "says nothing" in html and "this network" in html


def test_a_chart_of_nothing_is_left_out(tmp_path: Path) -> None:
    html = page(tmp_path / "a.html", readings(charts=[("Errors over training", ""), ("Reliability", "<svg></svg>")]))
    assert "Reliability" in html and "over training" not in html


def test_worst_rows_come_first_and_those_left_out_are_counted(tmp_path: Path) -> None:
    html = page(tmp_path / "r.html", readings(10), most=4)
    names = re.findall(r"<span>(line\d+\.png)</span>", html)
    assert names == ["line0.png", "line2.png", "line4.png", "line6.png"]
    assert "The 4 worst of 10 samples; 6 are left out." in html
    assert "All 10." in page(tmp_path / "r.html", readings(10))


def test_fragments_are_made_only_for_rows_that_are_shown(tmp_path: Path) -> None:
    seen: list[str] = []

    def fragment(row: Any) -> str:
        seen.append(row["id"])
        return ""

    page(tmp_path / "r.html", readings(10), most=2, fragments=fragment)
    assert seen == ["line0.png", "line2.png"]


def test_letters_that_cannot_be_seen_are_named(tmp_path: Path) -> None:
    confusions = [(" ", "", 3), ("'", "\u2019", 2), ("\u0301", "e", 1), ("\u0430", "a", 1)]
    names = "nothing", "space", "right single quotation mark", "combining acute accent", "cyrillic small letter a"
    html = page(tmp_path / "r.html", readings(confusions=confusions))
    for name in names:
        assert f'<span class="name">{name}</span>' in html
    assert "latin small" not in html


def test_any_task_can_be_reported(tmp_path: Path) -> None:
    """No baselines, no confusions, no explanations, no rows, figures that are not rates."""
    metrics = {"rse_3": 0.01234, "lines_per_second": 12345.0, "count": 7, "bad": float("nan")}
    html = page(tmp_path / "r.html", Report(metrics))
    assert all(shown in html for shown in ("0.01234", "12,345", ">7<", "\N{EN DASH}", "There are none."))
    assert "<script" not in html and "confusions</h2>" not in html and "other answers</h2>" not in html
    bare = page(tmp_path / "r.html", Report({}), heading="Answers")
    assert "Figures" not in bare and ">Answers</h2>" in bare and "worst first" not in bare


def test_confused_labels_are_words_and_columns_are_named_for_people(tmp_path: Path) -> None:
    long = "a label of a great many words that nobody would read to its end, if it had one"
    rows = [{"label": "cat", "cer": 0.25, "count": 3}]
    report = readings(1, confusions=[("cat", long, 2)], confused="taken for", tables=[("Labels", rows)])
    html = page(tmp_path / "r.html", report)
    assert '<ol class="confusions long">' in html and '<span class="soft">taken for</span>' in html
    assert f"{long[:60]} …" in html and long not in html
    assert f'class="number">{text.FIGURES["cer"][0]}</th>' in html
    for confusions, wide in ([("cat", "dog", 1)], " words"), ([("a", "b", 1)], ""):
        html = page(tmp_path / "r.html", readings(1, confusions=confusions))
        assert f'<ol class="confusions{wide}">' in html


def test_names_that_are_not_unicode_do_not_stop_a_report(tmp_path: Path) -> None:
    report = Report({"cer": 0.0}, ({"id": "\udcff.png", "truth": "a", "read": "a", "score": 1.0},))
    assert "?.png" in page(tmp_path / "r.html", report)
