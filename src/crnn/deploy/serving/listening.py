"""A socket that listens: 16-bit samples in, the text so far out."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from crnn.deploy.answering import Answering, plain
from crnn.deploy.serving.limits import Limits, Refused, plain_error
from crnn.errors import CrnnError, SettingsError

POLICY, RESTART, BROKEN = 1008, 1012, 1011
"""Codes of closing (RFC 6455, section 7.4): not as agreed, the server stops, a mistake of ours."""
REASON = 120
"""Letters of the reason that goes with them; 123 bytes are allowed."""
RATES = (1000, 384_000)


class Ears:
    """The sockets of a server. ``stopping`` is set when it stops: those who speak then get their answer."""

    def __init__(self, answering: Answering, limits: Limits, threads: int, stopping: asyncio.Event) -> None:
        self.answering, self.limits, self.stopping = answering, limits, stopping
        self.open = 0
        self.begun: dict[object, float] = {}
        """When the pieces that are listened to came, by the loop's clock."""
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="ears", initializer=_alone)
        self.deaf = deaf(answering)
        """Why the network cannot listen, ``None`` if it can."""

    async def listen(self, socket: Any, ended: type[Exception]) -> None:
        """Serve ``socket`` (of Starlette) to its end; ``ended`` is what it raises when the client goes."""
        try:
            rate = _rate(socket.query_params.get("rate"))
            if self.deaf is not None:
                raise self.deaf
            if self.stopping.is_set():
                raise _stops()
            if self.open >= self.limits.max_listeners:
                given, most = f"{self.open} sockets are open", f"at most {self.limits.max_listeners}"
                raise Refused(503, given, expected=most, do="Connect again later.")
        except CrnnError as error:
            await socket.accept()
            await _close(socket, POLICY, error)
            return
        self.open += 1
        try:
            await socket.accept()
            await self._heard(socket, rate)
        except ended:
            pass
        except CrnnError as error:
            await _close(socket, POLICY, error)
        except Exception as error:
            await _close(socket, BROKEN, _broken(error))
        finally:
            self.open -= 1

    async def _heard(self, socket: Any, rate: int | None) -> None:
        from crnn.deploy.stream import Stream

        stream = await self._run(partial(Stream, self.answering, rate=rate))  # type: ignore[arg-type]
        while True:
            message = await self._message(socket)
            if message is None and not stream.seconds:
                raise _stops()
            if message is None or message == "end" or stream.seconds > self.limits.max_listen:
                answer = await self._run(stream.finish)
                await _send(socket, {"answer": plain(stream.task, answer)})
                await socket.close(RESTART if message is None else 1000)
                return
            if isinstance(message, str):
                do = "Send samples, and the text end when there are no more."
                raise Refused(400, f"the text {message[:40]!r}", expected="samples, or end", do=do)
            if len(message) % 2:
                given, do = f"a message of {len(message)} bytes", "Send whole samples."
                raise Refused(400, given, expected="16-bit samples, two bytes each", do=do)
            samples = np.frombuffer(message, "<i2")
            await _send(socket, {"text": await self._run(partial(stream.push, samples))})

    async def _message(self, socket: Any) -> bytes | str | None:
        """What the client sends next; ``None`` when the server stops before. Raises ``Refused`` where nothing comes."""
        coming = asyncio.ensure_future(socket.receive())
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({coming, stopping}, timeout=self.limits.timeout, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                message = coming.result()
                socket._raise_on_disconnect(message)
                found: bytes | str | None = message.get("bytes")
                return found if found is not None else message.get("text") or ""
            if stopping.done():
                return None
            given, expected = f"nothing came for {self.limits.timeout:g} seconds", "samples, or end"
            raise Refused(408, given, expected=expected, do="Send silence where nobody speaks.")
        finally:
            for task in (coming, stopping):
                task.cancel()

    async def _run(self, call: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()
        heard = loop.run_in_executor(self.pool, call)
        self.begun[heard] = loop.time()
        heard.add_done_callback(self.begun.pop)
        return await heard


def deaf(answering: Answering) -> CrnnError | None:
    """Why the network cannot listen, or nothing."""
    if "torch" not in sys.modules:  # nothing of it runs here, and a stream needs it
        given, do = "an exported network is to listen", "Serve the bundle that was exported."
        return SettingsError(given, expected="a bundle, which torch runs", do=do)
    from crnn.deploy.stream import Stream

    try:
        Stream(answering)  # type: ignore[arg-type]
    except CrnnError as error:
        return error
    return None


def _rate(given: str | None) -> int | None:
    """The rate that a client names. Raises ``Refused``."""
    if given is None:
        return None
    value = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0
    if not RATES[0] <= value <= RATES[1]:
        expected = f"samples a second, from {RATES[0]} to {RATES[1]}"
        raise Refused(400, f"the rate is {given[:40]!r}", expected=expected, do="Write: /listen?rate=16000")
    return value


async def _close(socket: Any, code: int, error: CrnnError) -> None:
    """Say what is wrong, whole as a message, cut as the reason of closing."""
    try:
        await _send(socket, {"error": plain_error(error)})
        await socket.close(code, str(error).encode()[:REASON].decode(errors="ignore"))
    except Exception:  # the client has gone before; nobody is left to be told
        return


async def _send(socket: Any, values: dict[str, Any]) -> None:
    await socket.send_text(json.dumps(values, ensure_ascii=False))


def _stops() -> Refused:
    return Refused(503, "the server stops", expected="one that stays", do="Connect again in a second.")


def _broken(error: Exception) -> CrnnError:
    given = f"a mistake of the server ({type(error).__name__})"
    return CrnnError(given, expected="an answer", do="Please report it.")


def _alone() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
