"""Several bundles answer together: labels by mean probability, numbers by their mean, texts letter by letter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import crnn
from crnn.cli import main
from crnn.data.collate import gather
from crnn.deploy.predict import Predictor
from crnn.deploy.vote import Vote, predictor
from crnn.errors import SettingsError
from crnn.metrics.text import compare
from crnn.tasks._lines.rover import rover
from crnn.types import Batch, Part

Made = Callable[..., Any]


def parts(text: str, score: float = 0.9) -> tuple[Part, ...]:
    return tuple(Part(letter, float(i), i + 1.0, score) for i, letter in enumerate(text))


def text(found: tuple[Part, ...]) -> str:
    return "".join(part.value for part in found)


def test_most_readings_win() -> None:
    assert text(rover([parts("kitten"), parts("kittn"), parts("mitten")])) == "kitten"
    assert text(rover([parts("ab"), parts("a b"), parts("a b")])) == "a b"
    assert text(rover([parts("aab"), parts("ab"), parts("ab")])) == "ab"
    assert rover([parts("same")]) == parts("same") and rover([(), ()]) == ()
    assert text(rover([(), parts("x"), parts("x")])) == "x"


def test_a_sure_reader_weighs_more() -> None:
    found = rover([parts("cat", 0.9), parts("cot", 0.3), parts("cot", 0.4)])
    assert text(found) == "cat" and [p.score for p in found] == pytest.approx([1.6 / 3, 0.9 / 3, 1.6 / 3])
    assert text(rover([parts("cat", 0.3), parts("cot", 0.9)])) == "cot"
    assert [p.start for p in found] == [0.0, 1.0, 2.0]


def test_three_bad_readers_read_better_together() -> None:
    random = np.random.default_rng(0)
    truth = "".join(random.choice(list("abcdefgh "), 400))

    def heard() -> str:
        """One letter in ten is lost, mistaken, or has another behind it."""
        letters = []
        for letter in truth:
            kind = random.integers(30)
            other = str(random.choice(list("abcdefgh ")))
            letters.append({0: "", 1: other, 2: letter + other}.get(int(kind), letter))
        return "".join(letters)

    def errors(read: str) -> int:
        return compare(truth, read).total

    readings = [heard() for _ in range(3)]
    assert errors(text(rover([parts(r) for r in readings]))) < 0.5 * min(map(errors, readings))


@pytest.mark.parametrize(("task", "kind"), [("classify", "series"), ("regress", "series"), ("transcribe", "line")])
def test_bundles_vote(tiny: Made, samples: Made, tmp_path: Path, task: str, kind: str) -> None:
    names = []
    for seed in range(3):
        torch.manual_seed(seed)
        bundle = tiny("cascade", task, kind)
        torch.nn.init.normal_(next(p for n, p in bundle.net.head.named_parameters() if p.dim() > 1), std=0.5)
        bundle.save(tmp_path / f"{seed}.safetensors")
        names.append(str(tmp_path / f"{seed}.safetensors"))
    given = samples(task, kind)[:5]
    together = list(crnn.load(names).stream(given))
    each = [list(crnn.load(name).stream(given)) for name in names]
    assert [a.id for a in together] == [s.id for s in given]
    for answer, single in zip(together, zip(*each, strict=True), strict=True):
        if task == "classify":
            for part in answer.parts:
                shares = [p.score for a in single for p in a.parts if p.value == part.value]
                assert part.score == pytest.approx(np.mean(shares), abs=1e-6)
            assert answer.parts[0].value == answer.value and answer.score == answer.parts[0].score
        elif task == "regress":
            np.testing.assert_allclose(answer.value, np.mean([a.value for a in single], axis=0))
        else:
            assert answer.value == text(rover([a.parts for a in single]))
    assert [a.value for a in crnn.load([names[0]]).stream(given)] == [a.value for a in each[0]]


def test_what_cannot_vote_is_refused(tiny: Made, tmp_path: Path) -> None:
    tiny("cascade", "classify", "series").save(tmp_path / "c.safetensors")
    tiny("cascade", "regress", "series").save(tmp_path / "r.safetensors")
    tiny("cascade", "tag", "series").save(tmp_path / "t.safetensors")
    with pytest.raises(SettingsError, match=r"r.safetensors is a bundle for regress; expected one for classify"):
        predictor(f"{tmp_path / 'c.safetensors'},{tmp_path / 'r.safetensors'}")
    with pytest.raises(SettingsError, match="several bundles for tag"):
        Vote([tmp_path / "t.safetensors", tmp_path / "t.safetensors"])
    with pytest.raises(SettingsError, match="several networks vote"):
        Vote([tmp_path / "c.safetensors"] * 2).explain("x.csv")
    assert type(predictor(tmp_path / "c.safetensors")) is Predictor


def test_one_that_can_read_is_enough(tiny: Made, samples: Made, tmp_path: Path) -> None:
    tiny("cascade", "classify", "series").save(tmp_path / "c.safetensors")
    vote = Vote([tmp_path / "c.safetensors"] * 2)
    vote.kind.settings = type(vote.kind.settings)(longest=1)
    (answer,) = vote.stream(samples("classify", "series")[:1])
    assert answer.value in vote.task.labels.names


def test_a_vote_is_tested_and_predicted(
    tiny: Made, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny("cascade", "classify", "series").save(tmp_path / "c.safetensors")
    both, data = f"{tmp_path / 'c.safetensors'},{tmp_path / 'c.safetensors'}", str(made("classify", "series"))
    page = tmp_path / "report.html"
    for arguments in (["test", both, data, "--html", str(page)], ["predict", both, data]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code in (0, None)
    assert "cascade + cascade" in page.read_text(encoding="utf-8")


def test_a_text_is_read_from_the_mean_of_several_views(tiny: Made, samples: Made) -> None:
    """Of a sound and of what other throats would make of it."""
    bundle = tiny("cascade", "transcribe", "sound")
    alone = Predictor(bundle, precision="float32")
    sample = samples("transcribe", "sound")[0]
    x, _ = alone.kind.decode_scaled(sample.x)
    views = [alone.kind.finish(v) for v in (x, np.roll(x, 1, axis=1))]
    with torch.inference_mode():
        each = [alone.net(gather([view])).x.exp() for view in views]
        both = alone.task.said(alone.net, Batch(("a",), gather(views), views=2))
    ((rows, _, width),) = both
    np.testing.assert_allclose(np.exp(rows), torch.stack(each).mean(0)[0].numpy(), atol=1e-6)
    assert width == len(views[0])
