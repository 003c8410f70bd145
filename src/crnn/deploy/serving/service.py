"""One network being served: what is asked, what waits, what is counted, and how it stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from crnn import __version__
from crnn.config import as_dict
from crnn.deploy.answering import Answering
from crnn.deploy.page import PageReader
from crnn.deploy.serving.answers import Answerer, pool_of, workers_of
from crnn.deploy.serving.batches import Batches
from crnn.deploy.serving.folder import private_folder
from crnn.deploy.serving.jobs import Job, Options
from crnn.deploy.serving.limits import Limits, Refused
from crnn.deploy.serving.listening import Ears
from crnn.deploy.serving.metrics import Metrics
from crnn.deploy.serving.uploads import Held
from crnn.errors import SettingsError

USUAL = Limits()
SURE = 0.7
"""Share of the time limit within which an answer must be likely for a request to be taken."""
CROWD = 4
"""Requests that may be read or answered at once, for each sample that may wait."""
LOOK = 0.5
"""Seconds between two looks at a batch that hangs."""


class Gone(Exception):
    """The client has gone before its answer."""


class Service:
    """A network that many clients ask at once; ``async with service.running()`` while they may.

    ``name`` is what people call the network. ``wait`` are milliseconds that the first sample of a batch waits for
    others. Raises ``SettingsError`` for limits that contradict each other.
    """

    def __init__(
        self,
        network: Answering | PageReader,
        name: str,
        *,
        limits: Limits = USUAL,
        batch_size: int = 16,
        wait: float = 5.0,
        threads: int = 0,
    ) -> None:
        if limits.max_files > limits.max_queue:
            given = f"--max-files {limits.max_files} with --max-queue {limits.max_queue}"
            expected = "a queue that holds the files of a request"
            raise SettingsError(given, expected=expected, do="Raise --max-queue, or lower --max-files.")
        if limits.max_batch < limits.timeout:
            given = f"--max-batch {limits.max_batch:g} with --timeout {limits.timeout:g}"
            expected = "batches that may take as long as an answer"
            raise SettingsError(given, expected=expected, do="Raise --max-batch, or lower --timeout.")
        if batch_size < 1 or wait < 0 or threads < 0:
            given = f"batches of {batch_size}, a wait of {wait:g} and {threads} threads"
            raise SettingsError(given, expected="at least 1, 0 and 0", do="Leave out what is less.")
        self.network, self.name, self.limits = network, name, limits
        self.batch_size, self.wait, self.workers = batch_size, wait / 1000, workers_of(threads)
        self.held = Held(limits)
        self.ready = False
        """Whether requests are answered: the network is warm, and the server does not stop."""
        self.asking = 0
        """Requests that were taken and are not answered yet."""
        self.stopping = asyncio.Event()
        self.hanging = asyncio.Event()
        """Whether a batch has been at work for longer than it may, which no thread can be made to leave."""
        self.answerer: Answerer
        self.ears: Ears
        self.batches: Batches
        self.metrics = Metrics(lambda: len(self.batches.waiting), lambda: self.ears.open)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Threads and folder of the service, and a network that has seen something."""
        with private_folder() as folder, pool_of(self.workers) as pool:
            self.answerer = Answerer(self.network, self.limits, folder)
            self.ears = Ears(self.answerer.answering, self.limits, self.workers, self.stopping)
            options: dict[str, Any] = {"workers": self.workers, "size": self.batch_size, "wait": self.wait}
            options["patience"] = SURE * self.limits.timeout
            self.batches = Batches(self._counted, pool, most=self.limits.max_queue, **options)
            await asyncio.get_running_loop().run_in_executor(pool, self.answerer.warm)
            own = [asyncio.ensure_future(task) for task in (self.batches.run(), self._watch())]
            self.ready = True
            try:
                yield
            finally:
                self.stop()
                for task in own:
                    task.cancel()
                self.ears.pool.shutdown()

    def stop(self) -> None:
        """Take no more requests; those that were taken are answered."""
        self.ready = False
        self.stopping.set()

    async def ask(
        self, jobs: Callable[[], Awaitable[Sequence[Job]]], gone: Callable[[], Awaitable[Any]]
    ) -> list[tuple[Job, Any]]:
        """The jobs of a request, once they are read, each with its answer. ``gone`` returns when the client goes.

        Raises ``Refused``: 503 where too many wait, the server stops or hangs, 504 after too long; and ``Gone``.
        """
        self.alive()
        if self.stopping.is_set():
            raise Refused(503, "the server stops", expected="one that stays", do="Ask again in a second.", retry=1)
        if self.asking >= CROWD * self.limits.max_queue:
            said, most = f"{self.asking} requests are under way", f"at most {CROWD * self.limits.max_queue}"
            raise Refused(503, said, expected=most, do="Ask again in a second.", retry=1)
        self.asking += 1
        try:
            given = await jobs()
            try:
                self.batches.put(given)
            except Refused:
                for job in given:
                    job.close()
                raise
            return list(zip(given, await self._awaited(given, gone), strict=True))
        finally:
            self.asking -= 1

    @property
    def busy(self) -> bool:
        """Whether a request waits for its answer, or a thread is at work, maybe for nobody."""
        return bool(self.asking or self.batches.begun)

    def alive(self) -> None:
        """Raises ``Refused`` (503) while a batch hangs."""
        if self.hanging.is_set():
            given, most = "a batch hangs in the network", f"one within {self.limits.max_batch:g} seconds (--max-batch)"
            do = "Ask again when the server has been started anew."
            raise Refused(503, given, expected=most, do=do, retry=max(1, round(self.limits.timeout)))

    async def _watch(self) -> None:
        """Look whether a batch, or a piece of live sound, takes too long, and whether it came to an end after all."""
        clock = asyncio.get_running_loop().time
        while True:
            began = min([*self.batches.begun.values(), *self.ears.begun.values()], default=clock())
            left = began + self.limits.max_batch - clock()
            if left > 0:
                self.hanging.clear()
            else:
                self.hanging.set()
            await asyncio.sleep(left if left > 0 else LOOK)

    async def _awaited(self, jobs: Sequence[Job], gone: Callable[[], Awaitable[Any]]) -> list[Any]:
        answers = asyncio.gather(*(job.done for job in jobs), return_exceptions=True)
        leaving, hanging = asyncio.ensure_future(gone()), asyncio.ensure_future(self.hanging.wait())
        try:
            seconds, first = self.limits.timeout, asyncio.FIRST_COMPLETED
            done, _ = await asyncio.wait({answers, leaving, hanging}, timeout=seconds, return_when=first)
        finally:
            leaving.cancel()
            hanging.cancel()
        if answers in done:
            return answers.result()
        for job in jobs:
            job.done.cancel()
        self.batches.drop()
        if leaving in done:
            raise Gone
        self.alive()
        given, do = f"there was no answer after {seconds:g} seconds", "Send less, or ask again when less is asked."
        raise Refused(504, given, expected="one by then", do=do, retry=1)

    def check(self, options: Options) -> None:
        """Raises ``Refused`` (400) for options that the network has not."""
        try:
            self.answerer.check(options)
        except SettingsError as error:
            raise Refused(400, error.given, expected=error.expected, do=error.do) from error

    def about(self) -> dict[str, Any]:
        """What is served, in plain values."""
        answerer, answering = self.answerer, self.answerer.answering
        kinds = answerer.kinds or {"file": answerer.kind}
        inputs = [
            {
                "name": name,
                "kind": getattr(kind.spec, "kind", ""),
                "suffixes": sorted(answerer.endings(kind)),
                "text": bool(kind.spec.vocabulary),
            }
            for name, kind in kinds.items()
        ]
        labels = getattr(answerer.task, "labels", None)
        names = getattr(labels, "names", labels) if not answerer.pages else None
        about = {
            "name": self.name,
            "task": answerer.name,
            "model": answering.name,
            "version": __version__,
            "parameters": answering.parameters,
            "inputs": inputs,
            "listens": self.ears.deaf is None,
            "limits": as_dict(self.limits),
        }
        return about | ({"labels": [str(name) for name in names]} if names is not None else {})

    def _counted(self, jobs: Sequence[Job]) -> list[Any]:
        answers = self.answerer.answers(jobs)
        self.metrics.batch(answers)
        return answers
