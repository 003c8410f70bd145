"""Batches across requests: what waits together is answered together, so that many clients cost little more than one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from crnn.deploy.serving.jobs import Job
from crnn.deploy.serving.limits import Refused

KEPT = 0.8
"""Share of a running mean that each new value leaves."""


class Batches:
    """A queue of jobs and the threads that answer them, each a batch at a time.

    A batch is what waits when a thread is free: at most ``size`` jobs with the same options, and those that come within
    ``wait`` seconds of the first. ``work(jobs)`` gives the answer of each, in order. Jobs whose client has gone, or has
    waited too long, are dropped before they cost anything. At most ``most`` wait, and no more than are likely to be
    answered in ``patience`` seconds: better refused at once than taken and answered too late.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Job]], list[Any]],
        pool: ThreadPoolExecutor,
        *,
        workers: int,
        size: int,
        wait: float,
        most: int,
        patience: float,
    ) -> None:
        self.work, self.pool, self.size, self.wait, self.most = work, pool, size, wait, most
        self.workers = self.free = workers
        self.patience = patience
        self.pace = 0.0
        """Seconds that a sample takes one thread, a running mean."""
        self.waiting: deque[Job] = deque()
        self.begun: dict[asyncio.Future[list[Any]], float] = {}
        """When the batches that are under way began, by the loop's clock."""
        self.changed = asyncio.Event()

    def put(self, jobs: Sequence[Job]) -> None:
        """Let ``jobs`` wait, all or none. Raises ``Refused`` (503) where too many do."""
        self.drop()
        if len(self.waiting) + len(jobs) > self.most:
            given = f"{len(self.waiting)} samples wait already"
            raise Refused(503, given, expected=f"at most {self.most}", do="Ask again in a second.", retry=1)
        seconds = (len(self.waiting) + len(jobs)) * self.pace / self.workers
        if self.waiting and seconds > self.patience:
            given, expected = f"an answer would take {seconds:.0f} seconds", f"one within {self.patience:.0f}"
            raise Refused(503, given, expected=expected, do="Ask again later.", retry=max(1, round(self.patience / 4)))
        now = asyncio.get_running_loop().time()
        for job in jobs:
            job.since = now
        self.waiting.extend(jobs)
        self.changed.set()

    async def run(self) -> None:
        """Hand out batches until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            while not (self.waiting and self.free):
                await self._change(None)
            until = self.waiting[0].since + self.wait
            while self.waiting and len(self.waiting) < self.size and (left := until - loop.time()) > 0:
                await self._change(left)
            if batch := self._taken():
                self.free -= 1
                answers = loop.run_in_executor(self.pool, self.work, batch)
                self.begun[answers] = loop.time()
                answers.add_done_callback(partial(self._hand_out, batch))

    def drop(self) -> None:
        """Forget those that nobody waits for any more."""
        for job in [job for job in self.waiting if job.done.done()]:
            self.waiting.remove(job)
            job.close()

    async def _change(self, seconds: float | None) -> None:
        self.changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self.changed.wait()
        except TimeoutError:
            pass

    def _taken(self) -> list[Job]:
        """The next batch: the job that waited longest, and others that are to be answered alike."""
        self.drop()
        if not self.waiting:
            return []
        options = self.waiting[0].options
        batch = [job for job in self.waiting if job.options == options][: self.size]
        for job in batch:
            self.waiting.remove(job)
        return batch

    def _hand_out(self, batch: Sequence[Job], done: asyncio.Future[list[Any]]) -> None:
        self.free += 1
        took = (asyncio.get_running_loop().time() - self.begun.pop(done)) / len(batch)
        self.pace = KEPT * self.pace + (1 - KEPT) * took if self.pace else took
        self.changed.set()
        error = None if done.cancelled() else done.exception()
        for i, job in enumerate(batch):
            if job.done.done():
                continue
            if done.cancelled():
                job.done.cancel()
            elif error is not None:
                job.done.set_exception(error)
            else:
                job.done.set_result(done.result()[i])
