"""The client of the load benchmark: what becomes of requests is counted as it is. Nothing is timed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of the folder, which is no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import load
    import load_client

    return SimpleNamespace(load=load, client=load_client)


async def serving(replies: list[bytes | None], body: Callable[[int], Any], asked: list[bytes]) -> asyncio.Server:
    """A server that says the ``replies`` in turn, again and again; ``None`` ends the connection without one."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                asked.append(await reader.readexactly(length))
                said = replies[(len(asked) - 1) % len(replies)]
                if said is None:
                    break
                text = json.dumps(body(len(asked))).encode()
                writer.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n" % (said, len(text)) + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


async def others() -> None:
    """Wait for whoever else runs: both ends of a connection are closed."""
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
    await asyncio.sleep(0.01)


def asked_by(benchmark: Any, replies: list[bytes | None], requests: int, **options: Any) -> tuple[Any, list[bytes]]:
    """What the client counts of so many requests, one after the other, and what the server got."""
    asked: list[bytes] = []
    wanted = {"id": "a.png", "text": "ab"}
    question = benchmark.client.question("localhost", "/transcribe", "a.png", b"bytes", wanted)

    def body(turn: int) -> Any:
        return {"answers": [{**wanted, "text": "ab" if turn % 2 else "ac", "score": 0.9}]}

    async def run() -> Any:
        server = await serving(replies, body, asked)
        port = server.sockets[0].getsockname()[1]
        client = benchmark.client.Client("127.0.0.1", port, benchmark.load.right, **options)
        count = benchmark.client.Count(began=[])
        for _ in range(requests):
            await client.ask(question, count, 0.0)
        client.close()
        server.close()
        await server.wait_closed()
        await client.ask(question, count, 0.0)
        await others()
        return count

    return asyncio.run(run()), asked


@pytest.mark.parametrize("keep", [True, False])
def test_every_outcome_has_its_name(benchmark: Any, keep: bool) -> None:
    replies = [b"200 OK", b"200 OK", b"503 No", b"500 Oh", None]
    count, asked = asked_by(benchmark, replies, 5, keep=keep)
    client = benchmark.client
    assert count.statuses == {200: 2, 503: 1, 500: 1, client.LOST: 1, client.REFUSED: 1}
    assert count.wrong == 1 and count.other_5xx == 1 and len(count.seconds) == 2 and len(count.began) == 6
    assert b'name="file"; filename="a.png"' in asked[0] and b"\r\n\r\nbytes\r\n--" in asked[0]


def test_who_does_not_answer_is_late(benchmark: Any) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def run() -> Any:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = benchmark.client.Client("127.0.0.1", port, benchmark.load.right, timeout=0.05)
        count = benchmark.client.Count()
        await client.ask(benchmark.client.Question(b"x\r\n\r\n", {}), count, 0.0)
        server.close()
        await others()
        return count

    assert asyncio.run(run()).statuses == {benchmark.client.LATE: 1}


def test_an_open_loop_waits_for_nobody(benchmark: Any) -> None:
    """Requests go out while earlier ones are not answered."""
    together = 0

    async def run() -> Any:
        client = benchmark.client.Client("127.0.0.1", 1, benchmark.load.right)
        going = 0

        async def slow(question: Any, count: Any, due: float) -> None:
            nonlocal going, together
            going += 1
            together = max(together, going)
            while together < 5:  # nobody is answered before the fifth
                await asyncio.sleep(0.001)
            client.stop()
            going -= 1
            count.statuses[200] += 1

        client.ask = slow
        return await client.open([None], rate=1000, seconds=60)

    assert asyncio.run(run()).requests >= 5 <= together


def test_answers_are_compared_but_for_the_last_digits(benchmark: Any) -> None:
    same, right = benchmark.load.same, benchmark.load.right
    wanted = {"text": "ab", "score": 0.912, "letters": [{"value": "a", "start": 21.0}]}
    assert same({**wanted, "score": 0.913, "more": 1}, wanted) and not same({**wanted, "text": "ac"}, wanted)
    assert not same({**wanted, "letters": []}, wanted) and not same({}, wanted) and not same(None, wanted)
    assert right({"answers": [wanted]}, wanted) and not right({"error": {}}, wanted)
    assert not right({"answers": [wanted, wanted]}, wanted)


def test_percentiles_are_of_the_accepted(benchmark: Any) -> None:
    count = benchmark.client.Count(seconds=[i / 100 for i in range(100, 0, -1)])
    assert (
        count.percentile(0.5) == 0.51 and count.percentile(0.99) == 1.0 and benchmark.client.Count().percentile(1) == 0
    )
