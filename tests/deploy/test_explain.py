"""Which moments made an answer: their parts add up, lie where the cause lies, and depend on nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import crnn
from crnn.bundle import Bundle, combinations
from crnn.deploy.explain import explain
from crnn.deploy.predict import Predictor
from crnn.errors import SettingsError
from crnn.tasks import TASKS

ALL = [(model, kind, task) for model, kind, task in combinations() if TASKS[task].explains]
every_model = pytest.mark.parametrize(
    ("model", "kind", "task"),
    list({model: (model, kind, task) for model, kind, task in ALL}.values())
    + list({(kind, task): (model, kind, task) for model, kind, task in ALL if model == "cascade"}.values()),
)
QUICK = {
    "epochs": 25,
    "batch_size": 8,
    "augment": False,
    "learning_rate": 1e-2,
    "workers": 0,
    "threads": 1,
    "precision": "float32",
}
SMALL = {"channels": [8, 8], "hidden": 8, "dropout": 0.0, "pool": [1]}
Made = Callable[..., Any]


def ready(bundle: Bundle) -> Predictor:
    """With statistics that are not the initial ones."""
    torch.nn.init.normal_(next(p for n, p in bundle.net.head.named_parameters() if p.dim() > 1), std=0.5)
    return Predictor(bundle, precision="float32", batch_size=8)


@every_model
def test_the_parts_add_up_to_what_the_sample_makes_of_an_empty_one(
    model: str, kind: str, task: str, tiny: Made, samples: Made
) -> None:
    read = ready(tiny(model, task, kind))
    sample = samples(task, kind)[1]
    why = explain(read, sample, points=64)
    assert why.steps.shape == (read.kind.steps(sample.x),) and np.isfinite(why.steps).all()
    assert why.steps.sum() == pytest.approx(why.whole, rel=0.05, abs=0.05 * np.abs(why.steps).sum() + 1e-4)
    assert why.prediction == read(sample)
    shown = read.kind.shown(sample.x, why.heat)
    assert ("linear-gradient" in shown) == (kind != "sentence")
    assert shown.count("<div") == shown.count("</div")


def pieces(kind: str, count: int = 60) -> tuple[list[Any], list[float], list[int]]:
    """Samples in which nothing but a short piece, somewhere, says that they are 1 or -1, and not 0; and where it is."""
    random = np.random.default_rng(0)
    x: list[Any] = []
    y, places = [], []
    for i in range(count):
        steps, sign = int(random.integers(20, 30)), i % 3 - 1
        start = int(random.integers(2, steps - 8))
        if kind == "sentence":
            words = random.choice(["a", "the", "of"], steps).tolist()
            words[start] = ("bad", "of", "good")[i % 3]
            x.append(" ".join(words))
        else:
            series = random.normal(0, 0.05, (steps, 2)).astype(np.float32)
            series[start : start + 6, 1] += 2 * sign
            x.append(series)
        y.append(float(sign))
        places.append(start)
    return x, y, places


@pytest.mark.parametrize(("kind", "wide", "pool"), [("series", 6, "max"), ("sentence", 1, "mean")])
def test_the_parts_lie_where_the_cause_lies(kind: str, wide: int, pool: str) -> None:
    x, y, places = pieces(kind)
    recipe = {"task": {"name": "regress", "pool": pool}, "input": {"name": kind}, "encoder": SMALL, "train": QUICK}
    data = {"x": np.array(x, dtype=object), "y": np.array(y), "split": ["valid"] * 9 + ["train"] * 51}
    read = crnn.fit(recipe, data)
    for i in (0, 2, 3, 5, 6, 8):
        why = read.explain(x[i])
        assert why.prediction == read(x[i]) and why.whole * y[i] > 0.5
        there = slice(places[i], places[i] + wide)
        assert np.abs(why.steps[there]).sum() > 0.7 * np.abs(why.steps).sum()
        assert why.steps[there].sum() / why.whole == pytest.approx(1, abs=0.5)
        assert np.abs(why.heat).max() == 1 and places[i] <= np.abs(why.heat).argmax() < places[i] + wide


def test_batches_do_not_matter_and_the_network_stays_as_it_is(tiny: Made, samples: Made) -> None:
    bundle = tiny("cascade", "classify", "sentence")
    read = ready(bundle)
    sample = samples("classify", "sentence")[0]
    before = {name: value.clone() for name, value in read.net.state_dict().items()}
    whole = read.explain(sample)
    read.batch_size = 5
    np.testing.assert_allclose(read.explain(sample).steps, whole.steps, atol=1e-6)
    assert all(torch.equal(before[name], value) for name, value in read.net.state_dict().items())
    assert all(p.grad is None for p in read.net.parameters()) and not any(m._forward_hooks for m in read.net.modules())


def test_what_can_be_asked_for(tiny: Made, samples: Made) -> None:
    two = ready(tiny("cascade", "classify", "series"))
    sample = samples("classify", "series")[0]
    found = [two.explain(sample, of=label).whole for label in ("ash", "beech", "cedar")]
    assert two.explain(sample).whole == found[["ash", "beech", "cedar"].index(two(sample).value)]
    tag = ready(tiny("cascade", "tag", "series"))
    sample = samples("tag", "series")[0]
    assert tag.explain(sample, of="bell").of == "bell"
    with pytest.raises(SettingsError, match=r"the label 'bel'; .*Did you mean 'bell'"):
        tag.explain(sample, of="bel")
    number = ready(tiny("cascade", "regress", "series"))
    sample = samples("regress", "series")[0]
    np.testing.assert_array_equal(number.explain(sample, of=1).steps, number.explain(sample).steps)
    with pytest.raises(SettingsError, match="the number 'age'; expected one of value"):
        number.explain(sample, of="age")
    lines = ready(tiny("crnn", "transcribe", "line"))
    sample = samples("transcribe", "line")[0]
    assert lines.explain(sample, of="abba").whole != lines.explain(sample).whole
    with pytest.raises(SettingsError, match="has the letters 'X'"):
        lines.explain(sample, of="aX")
    with pytest.raises(SettingsError, match=r"needs 199 time steps; expected at most \d+, as the source gives"):
        lines.explain(sample, of="a" * 100)
