"""What scale costs: training by one and by two processes, a folder against shards, answering in bulk, and from that the
price of 1,000 hours of speech and of ten million pages.

    python benchmarks/scale.py --price 0.04 --json results/scale.json
    python benchmarks/scale.py --speech runs/speech --price 0.04

Everything is measured with one thread in each process on copies of the files in examples/. Throughput is by the clock
and suffers from whatever else runs (the load average is told); costs are seconds of processor time, which do not.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
HOURS, PAGES = 1_000, 10_000_000
SMALL = ("encoder.channels=[16,24,32,48]", "encoder.hidden=64", "encoder.layers=1", "encoder.name=crnn")


@contextmanager
def measured(into: dict[str, float]) -> Iterator[None]:
    """Seconds by the clock and of the processor, of this process and of those that it started."""
    start, before = time.perf_counter(), processor()
    yield
    into["seconds"], into["core_seconds"] = time.perf_counter() - start, processor() - before


def processor() -> float:
    """Seconds of processor time so far."""
    parts = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in parts)


def copies(folder: Path, times: int) -> Path:
    """The lines of examples/typewriting, each so many times, with their texts beside them."""
    folder.mkdir()
    rows = [json.loads(line) for line in (EXAMPLES / "typewriting" / "lines.jsonl").read_text().splitlines()]
    for n in range(times):
        for i, row in enumerate(rows):
            name = next(str(v) for v in row.values() if isinstance(v, str) and v.endswith(".webp"))
            text = str(row.get("text", row.get("transcription", "x")))
            shutil.copy(EXAMPLES / "typewriting" / name, folder / f"{n:03}-{i:03}.webp")
            (folder / f"{n:03}-{i:03}.gt.txt").write_text(text, encoding="utf-8")
    return folder


def reading(data: Path) -> dict[str, float]:
    """Samples a second: found and measured for training, and decoded in the order of an epoch."""
    from crnn.bundle import load
    from crnn.data.dataset import Samples
    from crnn.data.formats import open_data
    from crnn.data.sampler import Buckets

    bundle = load("zoo:typewritten")
    start = time.perf_counter()
    samples = open_data(data)
    widths = [bundle.kind.steps(sample.x) for sample in samples]
    opened = time.perf_counter() - start
    read = Samples(samples, bundle.kind, bundle.task, cache_mb=0)
    start = time.perf_counter()
    for batch in Buckets(widths, 16, shuffle=True):
        for key in batch:
            read[key]
    return {"opened": len(samples) / opened, "decoded": len(samples) / (time.perf_counter() - start)}


def training(data: Path, folder: Path, devices: int) -> dict[str, float]:
    """Samples a second of the second of two epochs, batches of 32 in all."""
    command = [sys.executable, "-m", "crnn", "train", "transcribe", "--data", str(data), "--out", str(folder)]
    command += ["--epochs", "2", "--batch-size", str(32 // devices), "--devices", str(devices), "--workers", "0"]
    command += ["--threads", "1", "--precision", "float32", "--device", "cpu", "--valid-share", "0"]
    for setting in SMALL:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    rows = [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]
    return {"samples_per_second": rows[-1]["samples_per_second"], "loss": rows[-1]["loss"]}


def answering(bundle: str, sources: list[str], out: Path, workers: int) -> dict[str, float]:
    """Seconds for all sources, the start of the processes and the loading of the bundle left out."""
    from crnn.deploy.bulk import Job, answer_all

    took: list[dict[str, float]] = []
    for n, names in enumerate((sources[:workers], sources)):
        took.append({})
        part = max(1, -(-len(names) // workers))
        with measured(took[-1]):
            answer_all(Job(bundle, out / str(n), part, precision="float32"), names, workers=workers)
    return {key: max(1e-9, took[1][key] - took[0][key]) for key in took[0]}


def alone(bundle: str, sources: list[str]) -> float:
    """Core seconds that all sources take in this process, the bundle being loaded."""
    from crnn.deploy.bulk import Job, Worker

    with tempfile.TemporaryDirectory() as folder:
        work, found = Worker(Job(bundle, Path(folder), precision="float32")), dict[str, float]()
        work({"number": 0, "sources": sources[:1]})
        with measured(found):
            work({"number": 1, "sources": sources})
    return found["core_seconds"]


def costs(found: Mapping[str, float], price: float) -> dict[str, float]:
    """Core hours and money, at ``price`` a core hour, of what is to be done."""
    rows = {"pages": PAGES * found["core_s_per_page"] / 3600}
    if "core_s_per_sound_s" in found:
        rows["speech"] = HOURS * found["core_s_per_sound_s"]
    hours = {f"core_hours_{name}": value for name, value in rows.items()}
    return hours | {f"price_{name}": price * value for name, value in rows.items()}


def told(name: str, measure: Callable[[], Any]) -> Any:
    """What ``measure`` gives, said at once."""
    found = measure()
    sys.stdout.write(f"{name}: {found}\n")
    sys.stdout.flush()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--speech", help="bundle that reads speech, for its price; sounds are those of examples/")
    parser.add_argument("--times", type=int, default=8, help="copies of the 74 lines")
    parser.add_argument("--price", type=float, default=0.04, help="of a core hour")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    from crnn.data.formats import open_data
    from crnn.data.shards import write_shards
    from crnn.train.report import Result, write_json

    torch.set_num_threads(1)
    found: dict[str, float] = {"load_average": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = copies(folder / "lines", options.times)
        shards = folder / "shards"
        write_shards(open_data(lines), shards, answer="text", megabytes=2, progress=lambda: None)
        for kind, data in (("folder", lines), ("shards", shards)):
            rates = told(f"reading, {kind}", lambda data=data: reading(data))
            found |= {f"{key}_per_s_{kind}": value for key, value in rates.items()}
        for devices in (1, 2):
            run = told(f"training, {devices}", lambda n=devices: training(lines, folder / f"run{n}", n))
            found |= {f"train_per_s_{devices}": run["samples_per_second"], f"train_loss_{devices}": run["loss"]}
        sources = sorted(map(str, lines.glob("*.webp")))
        for workers in (1, 2):
            out = folder / f"out{workers}"
            took = told(f"answering, {workers}", lambda o=out, w=workers: answering("zoo:typewritten", sources, o, w))
            found[f"lines_per_s_{workers}"] = len(sources) / took["seconds"]
        found["core_s_per_line"] = told("lines alone", lambda: alone("zoo:typewritten", sources) / len(sources))
        page = str(EXAMPLES / "page" / "letter.webp")
        found["core_s_per_page"] = told("a page alone", lambda: alone("zoo:page", [page]))
        if options.speech:
            import soundfile

            sounds = sorted(str(p) for p in (EXAMPLES / "sounds").rglob("*") if p.suffix in (".wav", ".flac", ".ogg"))
            length = sum(soundfile.info(sound).duration for sound in sounds)
            found["core_s_per_sound_s"] = told("sounds alone", lambda: alone(options.speech, sounds) / length)
    found |= costs(found, options.price)
    sys.stdout.write("".join(f"{key:>24} {value:,.4g}\n" for key, value in found.items()))
    if options.json:
        result = Result(
            name="scale",
            task="scale",
            model="crnn, zoo:typewritten, zoo:page",
            data="copies of examples/typewriting",
            split="none",
            metrics=found,
            baselines={},
            command="python benchmarks/scale.py " + " ".join(sys.argv[1:]),
            seed=0,
            threads=1,
            precision="float32",
            parameters=0,
            train_seconds=None,
        )
        write_json(options.json, result)


if __name__ == "__main__":
    main()
