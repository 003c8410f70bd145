"""A client that offers a server requests at a rate of its own, whatever the server does; one core is enough for it.

Requests are made once and sent as bytes over connections that are kept open, as ``wrk`` does. In an open loop the time
of a request counts from when it was due, so that a server which holds its clients up does not look fast.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

REFUSED, LOST, LATE = "refused", "lost", "late"
"""What became of a request without an answer: nobody listened; it was sent, and the connection ended; time was up."""
FRESH = 2.0  # seconds that a connection may have waited, of which a server soon tires
BOUNDARY = "line-of-a-file"


@dataclass(frozen=True, slots=True)
class Question:
    """A request in bytes, and what its answer must be."""

    request: bytes
    answer: Any


def question(host: str, path: str, name: str, data: bytes, answer: Any) -> Question:
    """The file ``data`` as a form, as browsers and curl send it."""
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = part.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    return Question(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body, answer)


@dataclass(slots=True)
class Count:
    """What became of requests: how many had each status, seconds of the answers, how many of them were wrong, seconds
    that all took; and where ``began`` is a list, when each began and its status."""

    statuses: Counter[Any] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    took: float = 0.0
    began: list[tuple[float, Any]] | None = None

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())

    @property
    def other_5xx(self) -> int:
        return sum(n for status, n in self.statuses.items() if isinstance(status, int) and 500 <= status != 503)

    def percentile(self, share: float) -> float:
        """Seconds in which so many of the answers came; 0 if there is none."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))] if self.seconds else 0.0


class Client:
    """Asks a server at ``host`` and ``port``; ``same(given, wanted)`` says whether an answer is right."""

    def __init__(
        self, host: str, port: int, same: Callable[[Any, Any], bool], *, timeout: float = 60.0, keep: bool = True
    ) -> None:
        self.host, self.port, self.same, self.timeout, self.keep = host, port, same, timeout, keep
        self.idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.stopped = False

    def stop(self) -> None:
        """Begin no more requests."""
        self.stopped = True

    async def closed(self, questions: Sequence[Question], *, at_once: int, seconds: float) -> Count:
        """So many askers, each of which asks again as soon as it has its answer."""
        count, start = Count(), time.perf_counter()

        async def asker(i: int) -> None:
            while time.perf_counter() < start + seconds:
                await self.ask(questions[i % len(questions)], count, time.perf_counter())
                i += at_once

        await asyncio.gather(*(asker(i) for i in range(at_once)))
        count.took = time.perf_counter() - start
        return count

    async def open(
        self, questions: Sequence[Question], *, rate: float, seconds: float, seed: int = 0, count: Count | None = None
    ) -> Count:
        """``rate`` requests a second at times that know nothing of each other (a Poisson process)."""
        count, drawn = count or Count(), random.Random(seed)
        start = due = time.perf_counter()
        asked: set[asyncio.Task[None]] = set()
        while due < start + seconds and not self.stopped:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            task = asyncio.create_task(self.ask(drawn.choice(questions), count, due))
            asked.add(task)
            task.add_done_callback(asked.discard)
            due += drawn.expovariate(rate)
        await asyncio.gather(*asked)
        count.took = time.perf_counter() - start
        return count

    async def ask(self, question: Question, count: Count, due: float) -> None:
        """One request and its answer into ``count``."""
        status: int | str
        try:
            async with asyncio.timeout(self.timeout):
                status, body = await self._exchange(question.request)
        except TimeoutError:
            status, body = LATE, b""
        count.statuses[status] += 1
        if count.began is not None:
            count.began.append((due, status))
        if status == 200:
            count.seconds.append(time.perf_counter() - due)
            count.wrong += not self.same(json.loads(body), question.answer)

    async def _exchange(self, request: bytes) -> tuple[int | str, bytes]:
        try:
            reader, writer = await self._connection()
        except OSError:
            return REFUSED, b""
        try:
            writer.write(request)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            body = await reader.readexactly(int(fields.get(b"content-length", 0)))
        except (OSError, EOFError):
            writer.close()
            return LOST, b""
        except BaseException:  # time is up
            writer.close()
            raise
        if self.keep and fields.get(b"connection") != b"close":
            self.idle.append((time.perf_counter(), reader, writer))
        else:
            writer.close()
        return int(head.split(b" ", 2)[1]), body

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self.idle:
            since, reader, writer = self.idle.pop()
            if time.perf_counter() - since < FRESH and not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self.host, self.port)

    def close(self) -> None:
        """All connections that wait."""
        for _, _, writer in self.idle:
            writer.close()
        self.idle.clear()
