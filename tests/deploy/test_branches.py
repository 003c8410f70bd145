"""What each branch of a parallel network does: without the one that knows, the answers are those of chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from crnn.deploy.branches import Branches
from crnn.deploy.predict import Predictor
from crnn.train.evaluate import evaluate
from crnn.types import Prediction

Made = Callable[..., Any]


def answers(predictor: Predictor, samples: Any) -> list[Prediction]:
    return list(predictor.stream(samples))  # type: ignore[arg-type]


def of_one_branch(tiny: Made, branch: int) -> Predictor:
    """A network whose head sees one branch alone."""
    bundle = tiny("parallel", "classify", "series")
    half = bundle.net.encoder.fusion.widths[0]
    with torch.no_grad():
        weight = torch.randn_like(bundle.net.head.linear.weight)
        weight[:, (1 - branch) * half : (2 - branch) * half] = 0
        bundle.net.head.linear.weight.copy_(weight)
    return Predictor(bundle, precision="float32", batch_size=4)


def test_a_branch_that_nobody_listens_to_is_not_missed(tiny: Made, samples: Made) -> None:
    some = samples("classify", "series")
    for heard in (0, 1):
        read = of_one_branch(tiny, heard)
        branches = Branches(read)
        assert branches.names == ("convolution", "recurrence")
        with branches.watched():
            before = answers(read, some)
        with branches.without(branches.names[1 - heard]):
            unheard = answers(read, some)
        with branches.without(branches.names[heard]):
            silenced = answers(read, some)
        for one, other in zip(before, unheard, strict=True):
            np.testing.assert_allclose([p.score for p in one.parts], [p.score for p in other.parts], atol=1e-6)
        assert len({round(p.score, 5) for p in silenced}) == 1 < len({round(p.score, 5) for p in before})
        assert answers(read, some) == before, "afterwards all is as it was"


def test_a_silenced_branch_says_its_mean_over_all_steps_whatever_the_batches(tiny: Made, samples: Made) -> None:
    """The mean of what the head is given, which is linear, is what it is given of every sample."""
    some, read = samples("classify", "series"), of_one_branch(tiny, 1)
    seen: list[Any] = []
    read.net.encoder.fusion.register_forward_pre_hook(lambda _, args: seen.append(args))
    branches = Branches(read)
    with branches.watched():
        answers(read, some)
    steps = [row[:n] for (_, rows), lengths in seen for row, n in zip(rows, lengths.tolist(), strict=True)]
    seen.clear()
    with branches.without("recurrence"):
        answers(read, some[:1])
    mean = torch.cat(steps).double().mean(0).float()
    after: list[Any] = []
    with branches.without("recurrence"):
        handle = read.net.encoder.fusion.register_forward_pre_hook(lambda _, args: after.append(args))
        answers(read, some[:3])
        handle.remove()
    for (_, rows), _ in after:
        torch.testing.assert_close(rows, mean.expand_as(rows))


def test_a_report_says_what_each_branch_does(tiny: Made, samples: Made) -> None:
    some = samples("classify", "series")
    read = of_one_branch(tiny, 0)
    counted: list[None] = []
    report = evaluate(read, some, apart=True, progress=lambda: counted.append(None)).report
    assert len(counted) == 3 * len(some)
    rows = ["without its convolution", "without its recurrence", "most frequent class"]
    assert list(report.baselines) == rows
    assert report.baselines[rows[1]]["accuracy"] == report.metrics["accuracy"]
    assert not any(name.endswith(("_low", "_high")) for name in report.baselines[rows[0]])
    title, table = report.details["tables"][-1]
    assert title == "Labels without a branch" and [row["label"] for row in table] == ["ash", "beech", "cedar"]
    assert all(row["whole network"] == row[rows[1]] for row in table)
    assert list(evaluate(read, some).report.baselines) == rows[2:]
    plain = Predictor(tiny("cascade", "classify", "series"), precision="float32")
    assert list(evaluate(plain, some, apart=True).report.baselines) == rows[2:]
