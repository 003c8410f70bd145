"""Jobs answered, a batch at a time: files written under names of ours, looked at, answered, put into plain values."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from crnn.data.formats.timeline import SUFFIXES as TIMELINES
from crnn.deploy.answering import Answering, plain
from crnn.deploy.page import PageReader
from crnn.deploy.serving.jobs import Given, Job, Options, Upload
from crnn.deploy.serving.limits import Limits, Refused, too_large
from crnn.deploy.serving.page_html import page_html
from crnn.errors import BundleError, CrnnError, SettingsError
from crnn.recipe import BEAM
from crnn.types import Sample

Answered = dict[str, Any] | CrnnError | Exception
"""Plain values, what is wrong with a sample, or a mistake of ours."""
KEPT = 16
"""Options whose networks are kept; they share all but a few settings."""
WARM = (64, 8)
"""Steps of what a fresh server answers first, to itself; frames, where steps are pictures."""


class Answerer:
    """What answers the jobs of a server: a network, or a reader of whole pages. Any number of threads may ask it.

    ``folder`` is a private one, in which nothing is left.
    """

    def __init__(self, network: Answering | PageReader, limits: Limits, folder: Path) -> None:
        self.network, self.limits, self.folder = network, limits, folder
        self.pages = isinstance(network, PageReader)
        self.answering: Answering = network.finder if isinstance(network, PageReader) else network
        self.kind, self.task = self.answering.kind, self.answering.task
        self.kinds: Mapping[str, Any] = getattr(self.kind, "kinds", {})
        """Kinds of input by name, where a sample has several."""
        self._known: dict[Options, Answering] = {}

    @property
    def name(self) -> str:
        """Of what is asked, as in the address: the task's, or ``page``."""
        return "page" if self.pages else str(self.task.name)

    def answers(self, jobs: Sequence[Job]) -> list[Answered]:
        """The answer of each job of a batch, all with the same options. Raises nothing."""
        with TemporaryDirectory(dir=self.folder) as place:
            made: list[Any] = [self._made(job, Path(place), i) for i, job in enumerate(jobs)]
            good = [i for i, one in enumerate(made) if isinstance(one, Sample)]
            found: list[Any] = list(made)
            try:
                said = self._said([made[i] for i in good], jobs[0].options) if good else []
            except Exception as error:  # which no reader should raise: it is answered, not kept
                said = [error] * len(good)
            for i, answer in zip(good, said, strict=True):
                found[i] = self._plain(jobs[i], made[i], answer)
            return [_named(one, job, place) for one, job in zip(found, jobs, strict=True)]

    def endings(self, kind: Any) -> frozenset[str]:
        """Endings of the files that are taken for an input of this kind: what a format makes samples of, where it is a
        format that does, else what the kind reads."""
        return TIMELINES if self.task.answer == "future" else kind.suffixes

    def warm(self) -> None:
        """Let the network see something, so that the first client does not wait for what is done once."""
        readers = tuple(self.network.readers.values()) if isinstance(self.network, PageReader) else ()
        for one in (self.answering, *readers):
            with suppress(Exception):  # what it says of nothing, and whether it says anything, is of no interest
                one._said([Sample("warm", None)], [_empty(one.kind.spec)] * one.kind.view_count)
        if isinstance(self.network, PageReader):
            with suppress(Exception):
                self.network(np.full((400, 600), 255, np.uint8))

    def check(self, options: Options) -> None:
        """Raises ``SettingsError`` for options that the network has not."""
        if not self.pages:
            self._with(options)
        elif options != Options():
            raise SettingsError("top or future is given", expected="neither for pages", do="Leave it out.")

    def _said(self, samples: Sequence[Sample], options: Options) -> list[Any]:
        """Answers, or errors, of one batch; what breaks a batch breaks only the sample's own answer."""
        if isinstance(self.network, PageReader):
            return list(self.network.stream(samples))
        network = self._with(options)
        try:
            return network._answer(samples)
        except Exception as error:
            if len(samples) == 1:  # of a network that does not run the client knows nothing, nor can mend it
                return [error.__cause__ or error if isinstance(error, BundleError) else error]
            return [one for sample in samples for one in self._said([sample], options)]

    def _with(self, options: Options) -> Answering:
        """The network as ``options`` want it, kept for whoever wants it next. Raises ``SettingsError``."""
        found = self._known.get(options) or _variant(self.answering, options)
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[options] = found
        return found

    def _made(self, job: Job, folder: Path, number: int) -> Sample | Exception:
        """The sample of a job, within the limits."""
        try:
            if isinstance(job.given, Mapping):
                x: Any = {
                    name: self._source(one, self.kinds[name], folder, f"{number}-{i}")
                    for i, (name, one) in enumerate(job.given.items())
                }
                return Sample(job.name, x)
            source = self._source(job.given, self.kind, folder, str(number))
            opened = self.task.opened(source) if isinstance(source, Path) and not self.pages else None
            if opened is None:
                return Sample(job.name, source)
            return replace(opened, id=opened.id.replace(source.name, job.name))  # which may say when it begins
        except CrnnError as error:
            return error
        except Exception as error:
            return error
        finally:
            job.close()

    def _source(self, given: Given, kind: Any, folder: Path, stem: str) -> Any:
        """A file in ``folder``, whose header was looked at, or the text itself. Raises ``Refused``, ``DataError``."""
        if not isinstance(given, Upload):
            return given
        path = given.written(folder, stem, self.endings(kind))
        extent = kind.extent(path)
        if extent.pixels > self.limits.max_pixels:
            raise too_large(
                f"has {extent.pixels:,} pixels", f"{self.limits.max_pixels:,}", "--max-pixels", file=given.name
            )
        if extent.seconds > self.limits.max_seconds:
            given_, most = f"lasts {extent.seconds:,.0f} seconds", f"{self.limits.max_seconds:,.0f} seconds"
            raise too_large(given_, most, "--max-seconds", file=given.name)
        return path

    def _plain(self, job: Job, sample: Sample, answer: Any) -> Answered:
        """An answer as plain values, with HTML to look at where the job wants it."""
        if isinstance(answer, Exception):
            return answer
        try:
            if isinstance(self.network, PageReader):
                values = answer.plain()
                return {**values, "html": page_html(self.network.grey(sample), answer)} if job.html else values
            task = self._with(job.options).task
            values = plain(task, answer, top=job.options.top)
            if job.html:
                values["html"] = task.show(answer, task.so_far(sample), self.kind.shown(sample.x))
            return values
        except Exception as error:
            return error


def workers_of(threads: int) -> int:
    """How many batches are answered at once: as many as there are processors for 0."""
    own = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return threads or len(own) or os.cpu_count() or 1


def pool_of(workers: int) -> ThreadPoolExecutor:
    """Threads that each run the network by themselves: side by side on batches of their own, they wait for nobody."""

    def alone() -> None:
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)

    return ThreadPoolExecutor(workers, thread_name_prefix="answers", initializer=alone)


def _variant(answering: Answering, options: Options) -> Answering:
    """``answering`` with a task that says so many answers, or foretells so many frames."""
    task = answering.task
    if options.future:
        if not hasattr(task, "with_future"):
            given = f"future is given for {task.name}"
            raise SettingsError(given, expected="a network that foretells frames", do="Leave it out.")
        task = task.with_future(options.future)
    if options.top > 1 and hasattr(task, "with_search"):
        task = task.with_search(best=options.top)
    elif options.top > 1 and hasattr(task, "with_reading"):
        reading = task.reading
        task = task.with_reading(replace(reading, best=options.top, beam=reading.beam or max(BEAM, options.top)))
    if task is answering.task:
        return answering
    made = copy.copy(answering)
    made.task = task
    if hasattr(made, "others"):
        made.others = tuple(_variant(other, options) for other in made.others)
    return made


def _empty(spec: Any) -> Any:
    """A blank input ``(time, channels, *space)`` of an ``InputSpec``, or a mapping of them."""
    if isinstance(spec, Mapping):
        return {name: _empty(one) for name, one in spec.items()}
    steps = WARM[len(spec.space) == 2]
    return np.zeros((steps, spec.channels, *spec.space), np.int64 if spec.vocabulary else np.float32)


def _named(found: Any, job: Job, place: str) -> Answered:
    """An error with the client's name of the file in the place of ours."""
    if not isinstance(found, CrnnError) or isinstance(found, Refused):
        return found  # type: ignore[no-any-return]
    ours = sorted((str(path) for path in Path(place).iterdir()), key=len, reverse=True)

    def without(text: str) -> str:
        for path in ours:
            text = text.replace(path, job.name)
        return text.replace(place, "")

    return type(found)(without(found.given), expected=without(found.expected), do=without(found.do), file=job.name)
