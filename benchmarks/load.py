"""A server under twice the load that it can bear: right answers, announced refusals, bounded waiting, flat memory.

    python benchmarks/load.py zoo:typewritten --seconds 600 --json results/serve.json

It starts ``crnn serve`` in a process of its own and knows the answer to each file beforehand (``crnn.load``). First it
asks as fast as answers come (the capacity), then offers ``--times`` that for ``--seconds``, at times that know nothing
of each other, and compares each answer. Then it goes on asking, now with a new connection each time, tells the server
to stop (SIGTERM) and starts another at the same port: a request is lost if it was sent to the old server before that
refused new ones, or to the new one, and got no answer. Time counts from when a request was due; a client that
has to wait for its own turn would not notice a server that makes it wait. Where others use the same cores, look at
the processor time of an answer (``server_cpu_ms``, with what refusals cost) rather than at the capacity.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from load_client import LATE, LOST, Client, Count, Question, question

import crnn
from crnn.train.report import Result, write_json

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 32  # askers that find the capacity: two batches
WARM = 60.0  # seconds of load after which memory should not grow
EVERY = 5.0  # seconds between two looks at memory
RESTART = 3.0  # seconds of load before a restart, and again after it
REFUSES = 0.5  # seconds after which a server that was told to stop takes nothing
TOLERANCE = 0.02  # of numbers: a batch of other sizes is added up in another order


class Server:
    """``crnn serve`` in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.line = process.stdout.readline()
        found = re.search(r"http://([\d.]+):(\d+)/", self.line)
        if not found:
            sys.exit(f"the server did not start: {self.line or 'it ended'}")
        self.host, self.port = found[1], int(found[2])

    @property
    def megabytes(self) -> float:
        """What the process holds of the machine's memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        found = re.search(r"VmRSS:\s+(\d+)", status)
        return int(found[1]) / 1024 if found else 0.0

    @property
    def cpu(self) -> float:
        """Seconds that the process had of the machine's cores."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(bundle: str, port: int, options: list[str]) -> Iterator[Server]:
    """A server that is ready; it ends with the block."""
    command = [sys.executable, "-m", "crnn", "serve", bundle, "--port", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            process.terminate()


def same(given: Any, wanted: Any) -> bool:
    """Whether an answer is right: the same words, numbers that hardly differ."""
    if isinstance(wanted, dict):
        return isinstance(given, dict) and all(same(given.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(given, list) and len(given) == len(wanted) and all(map(same, given, wanted))
    if isinstance(wanted, float) and isinstance(given, (int, float)):
        return abs(given - wanted) <= TOLERANCE * max(1.0, abs(wanted))
    return bool(given == wanted)


def right(body: Any, wanted: Any) -> bool:
    """Whether the body of a reply holds the one answer that is ``wanted``."""
    answers = body.get("answers", ())
    return len(answers) == 1 and same(answers[0], wanted)


def questions(read: Any, files: list[Path], host: str) -> list[Question]:
    """A request for each of ``files``, with what ``crnn.load`` says of it."""
    found = []
    for file in files:
        wanted = {**read.task.plain(read(file)), "id": file.name}
        found.append(question(host, f"/{read.task.name}", file.name, file.read_bytes(), wanted))
    return found


async def loaded(client: Client, asked: list[Question], server: Server, rate: float, seconds: float) -> dict[str, Any]:
    """``rate`` requests a second for so many seconds: what became of them, and the server's memory meanwhile."""
    memory: list[tuple[float, float]] = []

    async def watch() -> None:
        start = time.perf_counter()
        while True:
            memory.append((time.perf_counter() - start, server.megabytes))
            await asyncio.sleep(EVERY)

    watching, cpu, own = asyncio.create_task(watch()), server.cpu, time.process_time()
    count = await client.open(asked, rate=rate, seconds=seconds)
    watching.cancel()
    client.close()
    await asyncio.sleep(1)
    warm = next((size for at, size in memory if at >= min(WARM, seconds / 2)), memory[-1][1])
    memory.append((seconds, server.megabytes))
    return {
        "requests": count.requests,
        "wrong_answers": count.wrong,
        "accepted": count.statuses[200],
        "refused_503": count.statuses[503],
        "other_5xx": count.other_5xx,
        "other": count.requests - count.statuses[200] - count.statuses[503] - count.other_5xx,
        "server_cpu_ms": 1000 * (server.cpu - cpu) / max(1, count.statuses[200]),
        "client_cpu_ms": 1000 * (time.process_time() - own) / max(1, count.requests),
        "p50_ms": 1000 * count.percentile(0.5),
        "p99_ms": 1000 * count.percentile(0.99),
        "rss_after_minute_mb": warm,
        "rss_end_mb": memory[-1][1],
        "rss_most_mb": max(size for _, size in memory),
    }


async def restarted(
    asked: list[Question], server: Server, bundle: str, options: list[str], rate: float
) -> dict[str, Any]:
    """Under load the server is told to stop, and another takes its place."""
    client = Client(server.host, server.port, right, keep=False)
    count = Count(began=[])
    load = asyncio.create_task(client.open(asked, rate=rate, seconds=3600, count=count))
    await asyncio.sleep(RESTART)
    told = time.perf_counter()
    server.process.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(server.process.wait)
    ended = time.perf_counter()
    with served(bundle, server.port, options) as new:
        ready = time.perf_counter()
        await asyncio.sleep(RESTART)
        client.stop()
        await load
        new.process.send_signal(signal.SIGTERM)
        code |= await asyncio.to_thread(new.process.wait)
    assert count.began is not None
    lost = [at for at, status in count.began if status in (LOST, LATE)]
    taken = [at for at in lost if at < told + REFUSES or at > ready]
    return {
        "lost_accepted": len(taken),
        "restart_requests": count.requests,
        "restart_accepted": count.statuses[200],
        "restart_wrong_answers": count.wrong,
        "restart_reset_while_closing": len(lost) - len(taken),
        "stop_seconds": ended - told,
        "exit_code": code,
    }


async def measured(bundle: str, files: list[Path], options: argparse.Namespace, serve: list[str]) -> dict[str, Any]:
    """All that is measured."""
    read = crnn.load(bundle, precision=options.precision)
    with served(bundle, 0, serve) as server:
        asked = questions(read, files, server.host)
        start = server.megabytes
        client = Client(server.host, server.port, right)
        found = await client.closed(asked, at_once=AT_ONCE, seconds=max(3.0, min(20.0, options.seconds / 10)))
        capacity = len(found.seconds) / max(found.took, 1e-9)
        print(f"capacity: {capacity:.1f} a second, {found.wrong} wrong", file=sys.stderr)
        rate = options.times * capacity
        figures = {"capacity_per_second": capacity, "offered_per_second": rate, "rss_start_mb": start}
        figures |= await loaded(client, asked, server, rate, options.seconds)
        figures["wrong_answers"] += found.wrong  # those of the capacity count, too
        figures["requests"] += found.requests
        figures["accepted"] += found.statuses[200]
        figures["other"] += found.requests - found.statuses[200]
        print(f"load: {figures}", file=sys.stderr)
        figures |= await restarted(asked, server, bundle, serve, rate)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("--data", type=Path, default=ROOT / "examples" / "typewriting" / "images", help="files to ask")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--times", type=float, default=2.0, help="how many times the capacity is offered")
    parser.add_argument("--precision", default="float32", help="of the server and of the answers it must give")
    parser.add_argument("--threads", type=int, default=1, help="of the server, so that the client has a core")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    files = sorted(path for path in options.data.iterdir() if path.is_file())
    serve = ["--precision", options.precision, "--threads", str(options.threads)]
    figures = asyncio.run(measured(options.bundle, files, options, serve))
    for name, value in figures.items():
        print(f"{name:28}{value:12,.1f}" if isinstance(value, float) else f"{name:28}{value:12,}")
    if options.json is not None:
        read = crnn.load(options.bundle)
        result = Result(
            name=options.json.stem,
            task=read.task.name,
            model=read.name,
            data=options.data.parent.name,
            split="all",
            metrics=figures,
            command=shlex.join(["python", *sys.argv]),
            seed=0,
            threads=options.threads,
            precision=options.precision,
            parameters=read.parameters,
        )
        write_json(options.json, result)


if __name__ == "__main__":
    main()
