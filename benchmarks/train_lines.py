"""Lines a second in training: the default reader against a plain one, and where the time of a step goes.

    python benchmarks/train_lines.py LINES --json results/train_lines.json

"Plain" is what one-off scripts do: five convolutions, the first at full size, max pooling, batch normalisation over
padding, a packed bidirectional nn.LSTM, on lines of the same data at height 64 in float32. Steps alternate between the
networks on the same lines, batches of 16, with augmentation, medians. Then a real run of `crnn.fit` says how many lines
a second it learns and for which share of a step it waits for data.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

import crnn
from crnn.bundle import build
from crnn.data.collate import collate
from crnn.data.dataset import Samples
from crnn.data.formats import open_data
from crnn.data.sampler import Buckets
from crnn.precision import autocast, resolve
from crnn.tasks._lines.head import CTCHead
from crnn.tasks.transcribe import Transcribe
from crnn.train.report import Result, write_json
from crnn.types import Features, Level, Seq

KINDS = {
    "convolution": "convolution",
    "batch_norm": "batch norm",
    "rnn": "recurrence",
    "lstm": "recurrence",
    "ctc": "CTC",
}


class Plain(nn.Module):
    """The encoder that design notes of such scripts describe; 3.7 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        widths, layers = (1, 32, 64, 128, 128, 128), []
        for i, (a, b) in enumerate(pairwise(widths)):
            layers += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.SiLU()]
            layers += [nn.MaxPool2d(2)] if i < 2 else [nn.MaxPool2d((2, 1))] if i < 4 else []
        self.conv = nn.Sequential(*layers)
        self.lstm = nn.LSTM(512, 256, 2, batch_first=True, bidirectional=True)
        self.levels = (Level(512, (), 4),)

    def forward(self, seq: Seq) -> Features:
        x = self.conv(seq.x.permute(0, 2, 3, 1))  # (batch, time, 1, height) -> (batch, 1, height, time)
        x = x.flatten(1, 2).transpose(1, 2)
        lengths = (seq.lengths // 4).clamp(max=x.shape[1])
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
        return Features((Seq(y, lengths),))


class Learner:
    """A network with its optimiser and its own batches of the same lines."""

    def __init__(self, samples: list, task: Transcribe, height: int, precision: str, plain: bool) -> None:
        self.precision, self.task = precision, task
        bundle = build(task, {"height": height}, {"name": "crnn"})
        if plain:
            encoder = Plain()
            bundle.net.encoder, bundle.net.head = encoder, CTCHead(512, task.alphabet.outputs)
        self.net = bundle.net.train()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-3)
        data = Samples(samples, bundle.kind, task, augment=bundle.kind.Augment())
        buckets = Buckets([bundle.kind.steps(s.x) for s in samples], 16, shuffle=True)
        self.batches = [collate([data[key] for key in keys]).batch for keys in buckets]

    def step(self, i: int) -> float:
        start = time.perf_counter()
        with autocast(self.precision):
            loss = self.task.loss(self.net, self.batches[i])
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()
        return time.perf_counter() - start


def where(learner: Learner) -> dict[str, float]:
    """Milliseconds of a step by kind of operation."""
    with profile(activities=[ProfilerActivity.CPU]) as run:
        for i in range(4):
            learner.step(i)
    times: Counter[str] = Counter()
    for event in run.key_averages():
        kind = next((kind for part, kind in KINDS.items() if part in event.key.lower()), "other")
        times[kind] += event.self_cpu_time_total / 4000
    return {kind: round(ms, 1) for kind, ms in times.most_common()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--lines", type=int, default=1200)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    samples = [s for s in open_data(options.data) if s.split == "train"][: options.lines]
    task = Transcribe.learn(Transcribe.Settings(), samples)
    precision = resolve("auto")
    learners = {
        "plain, 64, float32": Learner(samples[:256], task, 64, "float32", True),
        f"plain, 64, {precision}": Learner(samples[:256], task, 64, precision, True),
        f"crnn, 48, {precision}": Learner(samples[:256], task, 48, precision, False),
    }
    times: dict[str, list[float]] = {name: [] for name in learners}
    for i in range(-2, options.steps):
        for name, learner in learners.items():
            seconds = learner.step(i % len(learner.batches))
            if i >= 0:
                times[name].append(seconds)
    rows: dict[str, dict[str, Any]] = {}
    for name, learner in learners.items():
        rows[name] = {
            "lines_per_second": 16 * len(times[name]) / sum(times[name]),
            "median_ms": 1e3 * statistics.median(times[name]),
        }
        spent = where(learner)
        print(f"{name:24} {rows[name]['lines_per_second']:6.1f} lines/s without data; ms a step: {spent}")
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "lines.jsonl"
        root = Path(options.data).resolve()
        (Path(folder) / "images").symlink_to(root / "images")
        kept = [s.id for s in samples]
        lines = [json.loads(line) for line in (root / "lines.jsonl").read_text(encoding="utf-8").splitlines()]
        lines = [{**line, "split": "train" if line["split"] == "train" else "valid"} for line in lines]
        chosen = [r for r in lines if r["image"] in set(kept)] + [r for r in lines if r["split"] == "valid"][:32]
        table.write_text("".join(json.dumps(r) + "\n" for r in chosen), encoding="utf-8")
        recipe = {"input": {"height": 48}, "data": {"train": str(table)}, "train": {"epochs": 3}}
        crnn.fit(recipe, Path(folder) / "run")
        epochs = [json.loads(line) for line in (Path(folder) / "run" / "epochs.jsonl").read_text().splitlines()]
    metrics = {"lines_per_second": epochs[-1]["samples_per_second"], "waiting": epochs[-1]["waiting"]}
    print(
        f"a real run with augmentation: {metrics['lines_per_second']:.1f} lines/s, "
        f"{100 * metrics['waiting']:.1f} % waiting"
    )
    if options.json:
        learner = learners[f"crnn, 48, {precision}"]
        result = Result(
            name="train_lines",
            task="transcribe",
            model="crnn",
            data=Path(options.data).name,
            split="train",
            metrics=metrics,
            baselines={f"{name} (step alone)": row for name, row in rows.items()},
            command="python " + " ".join(sys.argv),
            seed=0,
            threads=torch.get_num_threads(),
            precision=precision,
            parameters=sum(p.numel() for p in learner.net.parameters()),
        )
        write_json(options.json, result)


if __name__ == "__main__":
    main()
