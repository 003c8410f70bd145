"""One network as torch runs it, compiled, in ONNX Runtime, and there in eight bits: how long it takes to start and to
answer, and in how much memory.

    python benchmarks/export.py zoo:typewritten --data LINES --json results/export.json

Each way runs in a process of its own, with one thread, on the same random inputs of 800 steps; the processes take
turns, and medians over their rounds are told. Start-up is from the first import to the first answer. With ``--data``
figures of each way on the validation part stand beside them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WAYS = ("torch", "compiled", "onnx", "int8")
BATCHES = (1, 16)


def one(way: str, bundle: str, file: str, steps: int, seconds: float) -> dict[str, float]:
    """Measure one way in this process."""
    start = time.perf_counter()
    answer, inputs = (by_runtime if way in ("onnx", "int8") else by_torch)(way, bundle, file, steps)
    answer(*inputs(1))
    found = {"start_up_s": time.perf_counter() - start}
    for batch in BATCHES:
        given = inputs(batch)
        answer(*given)  # what is made for a new size is made now
        times: list[float] = []
        while sum(times) < seconds or len(times) < 3:
            start = time.perf_counter()
            answer(*given)
            times.append(time.perf_counter() - start)
        found[f"ms_batch_{batch}"] = 1000 * statistics.median(times)
    return {**found, "peak_mb": peak_mb()}


def peak_mb() -> float:
    """The most memory that this process had; what ``resource`` says begins with that of the process before it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def by_torch(way: str, bundle: str, file: str, steps: int) -> Any:
    """What answers with torch, and what makes its inputs."""
    import torch

    from crnn.bundle import fold, load
    from crnn.types import Seq

    torch.set_num_threads(1)
    loaded = load(bundle)
    net, spec = fold(loaded.net), loaded.kind.spec
    run = torch.compile(net, dynamic=False) if way == "compiled" else net

    def answer(x: Any, lengths: Any) -> None:
        with torch.inference_mode():
            run(Seq(x, lengths))

    def inputs(batch: int) -> Any:
        x, lengths = numbers(batch, steps, spec)
        return torch.from_numpy(x), torch.from_numpy(lengths)

    return answer, inputs


def by_runtime(way: str, bundle: str, file: str, steps: int) -> Any:
    """What answers with ONNX Runtime, and what makes its inputs."""
    from crnn.deploy.onnx import OnnxPredictor
    from crnn.types import Seq

    predictor = OnnxPredictor(file, threads=1)
    return lambda x, lengths: predictor.net(Seq(x, lengths)), lambda batch: numbers(batch, steps, predictor.kind.spec)


def numbers(batch: int, steps: int, spec: Any) -> Any:
    """Random inputs."""
    import numpy as np

    x = np.random.default_rng(0).standard_normal((batch, steps, spec.channels, *spec.space), dtype=np.float32)
    return x, np.full(batch, steps)


def scores(way: str, bundle: str, file: str, data: str) -> dict[str, float]:
    """Figures on the validation part, or on all where there is none."""
    from crnn.data.formats import open_data
    from crnn.deploy.asked import asked
    from crnn.deploy.ready import predictor
    from crnn.train.evaluate import evaluate

    ready: Any = predictor(file if way in ("onnx", "int8") else bundle, precision="float32")
    samples = open_data(data, asked=asked(ready))
    valid = [sample for sample in samples if sample.split == "valid"]
    metrics = evaluate(ready, valid or samples).report.metrics
    return {name: metrics[name] for name in ready.task.figures}


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure over all rounds."""
    return {key: statistics.median(found[key] for found in rounds) for key in rounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("--steps", type=int, default=800, help="of each sample")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="that each batch size is measured at least")
    parser.add_argument("--ways", nargs="*", default=WAYS, choices=WAYS)
    parser.add_argument("--data", help="data with answers, for figures of each way")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--file", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        sys.stdout.write(json.dumps(one(options.one, options.bundle, options.file, options.steps, options.seconds)))
        return
    from crnn.bundle import load
    from crnn.deploy.export import export
    from crnn.train.report import Result, write_json

    with tempfile.TemporaryDirectory() as folder:
        loaded = load(options.bundle)
        files = {way: f"{folder}/{way}.onnx" for way in ("onnx", "int8")}
        for way, file in files.items():
            if way in options.ways:
                export(loaded, file, int8=way == "int8")
        rounds: dict[str, list[dict[str, float]]] = {way: [] for way in options.ways}
        for _ in range(options.rounds):
            for way in options.ways:
                command = [sys.executable, __file__, options.bundle, "--one", way, "--file", files.get(way, "")]
                command += ["--steps", str(options.steps), "--seconds", str(options.seconds)]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{way} failed:\n{done.stderr[-2000:]}")
                rounds[way].append(json.loads(done.stdout))
        table = {way: medians(found) for way, found in rounds.items()}
        for way, row in table.items():
            row |= {f"per_second_batch_{b}": 1000 * b / row[f"ms_batch_{b}"] for b in BATCHES}
            if way in files:
                row["file_mb"] = Path(files[way]).stat().st_size / 1e6
            if options.data and way != "compiled":
                row |= scores(way, options.bundle, files.get(way, ""), options.data)
            sys.stdout.write(f"{way}: " + "  ".join(f"{key} {value:.4g}" for key, value in row.items()) + "\n")
    if options.json:
        first, *others = table
        result = Result(
            name="export",
            task=loaded.task.name,
            model=str(loaded.encoder["name"]),
            data=Path(options.data).name if options.data else "random inputs",
            split="valid" if options.data else "none",
            metrics=table[others[0] if "onnx" not in table else "onnx"] if others else table[first],
            baselines={way: row for way, row in table.items() if way != "onnx"},
            command="python benchmarks/export.py " + " ".join(sys.argv[1:]),
            seed=0,
            threads=1,
            precision="float32",
            parameters=sum(p.numel() for p in loaded.net.parameters()),
            train_seconds=None,
        )
        write_json(options.json, result)


if __name__ == "__main__":
    main()
