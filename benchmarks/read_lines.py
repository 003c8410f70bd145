"""Lines read a second: a bundle of crnn against Tesseract, on the same lines, in one run, alternating.

    python benchmarks/read_lines.py zoo:typewritten LINES --languages eng+deu --json results/read_lines.json

Both read every line of the given split from its picture file on disk with all processor cores, the best way each has:
crnn in one process; Tesseract in one process for each core, each with its own list of files and one thread (its own
threads slow it down on single lines). Three rounds each, medians. Error rates come from the same answers.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from crnn.data.formats import open_data
from crnn.deploy.predict import Predictor
from crnn.metrics import text
from crnn.train.report import Result, write_json


def tesseract(pictures: list[Path], languages: str, processes: int, scratch: Path) -> tuple[float, list[str]]:
    """Seconds that ``processes`` Tesseracts take for ``pictures``, and what they read."""
    jobs = []
    for i in range(processes):
        listing = scratch / f"{i}.txt"
        listing.write_text("\n".join(map(str, pictures[i::processes])) + "\n")
        jobs.append(["tesseract", str(listing), str(scratch / f"read{i}"), "-l", languages, "--psm", "7"])
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    start = time.perf_counter()
    running = [subprocess.Popen(job, env=environment, stderr=subprocess.DEVNULL) for job in jobs]
    if any(process.wait() for process in running):
        sys.exit("tesseract failed: are the languages installed?")
    seconds = time.perf_counter() - start
    read = [""] * len(pictures)
    for i in range(processes):
        pages = (scratch / f"read{i}.txt").read_text().split("\f")
        read[i::processes] = [page.strip() for page in pages[: len(pictures[i::processes])]]
    return seconds, read


def ours(predictor: Predictor, samples: list) -> tuple[float, list[str]]:
    start = time.perf_counter()
    read = [answer.value for answer in predictor.stream(samples)]
    return time.perf_counter() - start, read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("data")
    parser.add_argument("--split", default="test")
    parser.add_argument("--languages", default="eng+deu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--answers", type=Path, help="write Tesseract's answers as JSON lines, for crnn test --baseline"
    )
    options = parser.parse_args()
    if shutil.which("tesseract") is None:
        sys.exit("tesseract is not installed: apt-get install tesseract-ocr tesseract-ocr-eng tesseract-ocr-deu")
    samples = [s for s in open_data(options.data) if s.split == options.split]
    predictor = Predictor(options.bundle, batch_size=options.batch_size)
    processes = os.cpu_count() or 1
    times: dict[str, list[float]] = {"crnn": [], "tesseract": []}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        pictures = [scratch / f"{i:05}.png" for i in range(len(samples))]
        for picture, sample in zip(pictures, samples, strict=True):
            Image.open(sample.x).convert("L").save(picture)  # Debian's Tesseract reads lists of PNG faster than WebP
        ours(predictor, samples[:64])
        for _ in range(options.rounds):
            seconds, read = ours(predictor, samples)
            times["crnn"].append(seconds)
            seconds, read_by_tesseract = tesseract(pictures, options.languages, processes, scratch)
            times["tesseract"].append(seconds)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    truths = [predictor.task.truth(s) for s in samples]
    speed = {name: len(samples) / statistics.median(seconds) for name, seconds in times.items()}
    scores = {
        "crnn": text.score(list(zip(truths, read, strict=True)), [s.group for s in samples]),
        "tesseract": text.score(
            [(t, predictor.task.alphabet.clean(r)) for t, r in zip(truths, read_by_tesseract, strict=True)],
            [s.group for s in samples],
        ),
    }
    metrics = {
        "lines_per_second": speed["crnn"],
        "ratio_to_tesseract": speed["crnn"] / speed["tesseract"],
        "peak_mb": peak_mb,
        "cer": scores["crnn"]["cer"],
        "wer": scores["crnn"]["wer"],
    }
    version = subprocess.run(["tesseract", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    baselines = {
        f"{version}, {options.languages}, --psm 7, {processes} processes": {
            "lines_per_second": speed["tesseract"],
            **{k: scores["tesseract"][k] for k in ("cer", "wer", "cer_low", "cer_high")},
        }
    }
    for name in speed:
        rounds = ", ".join(f"{len(samples) / s:.0f}" for s in times[name])
        print(f"{name:>10}  {speed[name]:6.1f} lines/s ({rounds})  CER {100 * scores[name]['cer']:.2f} %")
    print(f"ratio {metrics['ratio_to_tesseract']:.1f}, peak memory {peak_mb:.0f} MB, {len(samples)} lines")
    if options.answers:
        cleaned = (predictor.task.alphabet.clean(r) for r in read_by_tesseract)
        rows = [json.dumps({"id": s.id, "text": r}, ensure_ascii=False) for s, r in zip(samples, cleaned, strict=True)]
        options.answers.write_text("\n".join(rows) + "\n", encoding="utf-8")
    if options.json:
        card = predictor.bundle.card
        result = Result(
            name="read_lines",
            task="transcribe",
            model=predictor.bundle.encoder["name"],
            data=Path(options.data).name,
            split=options.split,
            metrics=metrics,
            baselines=baselines,
            command="python " + " ".join(sys.argv),
            seed=card.get("train", {}).get("seed", 0),
            threads=torch.get_num_threads(),
            precision=predictor.precision,
            parameters=sum(p.numel() for p in predictor.net.parameters()),
            train_seconds=card.get("train_seconds"),
        )
        write_json(options.json, result)


if __name__ == "__main__":
    main()
