"""Answers for millions of files: dealt to parts, by several processes or by Ray, each part written once and whole.

The sources are dealt to parts of so many, in their order. A part is answered by one process and written aside and
renamed: ``part-000012.jsonl`` is there with all its answers or not at all, whoever was stopped and whatever was tried
twice. So a job that is started again answers what is not there yet, and nothing twice.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from crnn.deploy.answering import Answering, plain
from crnn.deploy.ready import is_exported, predictor
from crnn.errors import CrnnError, DataError, MissingExtra, SettingsError
from crnn.files import write_aside
from crnn.types import Sample

JOB = "job.json"


@dataclass(frozen=True, slots=True)
class Done:
    """Of a job, or of a part of it: sources that were answered, and those that could not be read."""

    answered: int = 0
    failed: int = 0

    def __add__(self, other: Done) -> Done:
        return Done(self.answered + other.answered, self.failed + other.failed)


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done: the bundle and how it is run, where the parts go, how large they are."""

    bundle: str
    out: Path
    part: int = 1000
    batch_size: int = 16
    precision: Any = "auto"
    threads: int = 1
    """Of the arithmetic, in each process; 0 takes all."""

    def path(self, number: int) -> Path:
        """The file of a part."""
        return self.out / f"part-{number:06}.jsonl"


def answer_all(
    job: Job,
    sources: Sequence[str],
    *,
    workers: int = 1,
    ray: bool = False,
    progress: Callable[[Done], None] = lambda done: None,
) -> Done:
    """Answer for all ``sources`` (paths of files) that no part in ``job.out`` has yet, by so many ``workers``.

    A line of a part is a source's answer as ``crnn predict --json`` gives it, or ``{"id", "error"}``. With ``ray`` the
    parts are rows of a Ray Dataset, on whatever cluster Ray is connected to; ``job.out`` must then be a folder that all
    of its machines see. Gives what was done now. Raises ``SettingsError`` where ``job.out`` holds answers of another
    job, ``BundleError``, and ``MissingExtra`` without Ray.
    """
    _claim(job, sources)
    numbers = [n for n in range(-(-len(sources) // job.part)) if not job.path(n).exists()]
    parts = ({"number": n, "sources": list(sources[n * job.part : (n + 1) * job.part])} for n in numbers)
    total = Done()
    if numbers and (ray or workers > 1):
        predictor(job.bundle, precision="float32")  # so that what is wrong with it is said once, and here
    for done in _by_ray(job, list(parts), workers) if ray else _by_processes(job, parts, min(workers, len(numbers))):
        total += done
        progress(done)
    return total


class Worker:
    """A process's bundle, which is loaded once: a part in, what was done out."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.answering = predictor(job.bundle, precision=job.precision, batch_size=job.batch_size, threads=job.threads)
        if job.threads and not is_exported(job.bundle):
            import torch

            torch.set_num_threads(job.threads)
        self.answers: Any = self.answering
        if getattr(self.answering.task.settings, "reader", ()):  # it finds lines, which others read
            from crnn.deploy.page import PageReader

            self.answers = PageReader(self.answering, precision=job.precision, batch_size=job.batch_size)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, int]:
        """Answer the ``sources`` of ``row`` and write the part of its ``number``."""
        number, answered, failed = int(row["number"]), 0, 0
        path = self.job.path(number)
        if path.exists():  # tried twice
            return asdict(Done())
        with write_aside(path) as file:
            for line in self._lines([str(source) for source in row["sources"]]):
                failed += "error" in line
                answered += "error" not in line
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return asdict(Done(answered, failed))

    def _lines(self, sources: list[str]) -> Iterator[dict[str, Any]]:
        """A line for each source, in their order."""
        samples = [_sample(self.answering, source) for source in sources]
        answers = self.answers.stream(s for s in samples if isinstance(s, Sample))
        for source, sample in zip(sources, samples, strict=True):
            answer = next(answers) if isinstance(sample, Sample) else sample
            if isinstance(answer, CrnnError):
                yield {"id": source, "error": str(answer)}
            else:
                values = answer.plain() if self.answers is not self.answering else plain(self.answering.task, answer)
                yield {**values, "id": source}


def _sample(answering: Answering, source: str) -> Sample | CrnnError:
    try:
        return answering._sample(source)
    except CrnnError as error:
        return error


def _claim(job: Job, sources: Sequence[str]) -> None:
    """Say in ``job.out`` what it holds. Raises ``SettingsError`` if it holds something else."""
    if not sources or job.part < 1:
        given = "there are no sources" if not sources else f"a part has {job.part} sources"
        raise SettingsError(given, expected="at least one", do="Check the list, or --part.")
    digest = blake2b(digest_size=16)
    for source in sources:
        digest.update(source.encode("utf-8", "surrogateescape") + b"\n")
    said = {"bundle": job.bundle, "part": job.part, "sources": len(sources), "digest": digest.hexdigest()}
    path = job.out / JOB
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        with write_aside(path) as file:
            json.dump(said, file, indent=1)
        return
    except (OSError, ValueError) as error:
        given = f"cannot be read ({error})"
        raise DataError(given, expected="what a job wrote", do="Name another folder.", file=path) from error
    if there != said:
        differs = ", ".join(key for key in said if not isinstance(there, dict) or there.get(key) != said[key])
        given = f"{job.out} holds the answers of another job (another {differs})"
        raise SettingsError(given, expected="the same bundle and list, or a new folder", do="Name another folder.")


_worker = cache(Worker)  # a process has one


def _answer(job: Job, row: Mapping[str, Any]) -> dict[str, int]:
    return _worker(job)(row)


def _by_processes(job: Job, parts: Iterator[dict[str, Any]], workers: int) -> Iterator[Done]:
    if workers <= 1:
        yield from (Done(**_answer(job, row)) for row in parts)
        return
    spawn = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
            for future in as_completed([pool.submit(_answer, job, row) for row in parts]):
                yield Done(**future.result())
    except BrokenProcessPool as error:
        raise DataError(
            "a process that answers has ended, killed or out of memory",
            expected="all to the end",
            do="Start the same command again, which goes on; perhaps with fewer --workers.",
            file=job.out,
        ) from error


def _by_ray(job: Job, parts: list[dict[str, Any]], workers: int) -> Iterator[Done]:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    if not parts:
        return
    rows = ray.data.from_items(parts, override_num_blocks=len(parts))
    for row in rows.map(Worker, fn_constructor_args=(job,), concurrency=workers).iter_rows():
        yield Done(int(row["answered"]), int(row["failed"]))
