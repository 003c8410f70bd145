"""What stands before every route: who may ask, from where, and what is said of each answer."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs, urlsplit

from crnn.deploy.serving.limits import Refused, plain_error

CONTENT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""What the page may load: nothing from another host, and no script or style but its own. The styles of a task's
fragment are set by the page's script, which knows what is harmless."""
HEADERS = (
    (b"content-security-policy", CONTENT.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
LINGER = 2.0
"""Seconds in which a client that is refused may send the rest of its request."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
Scope = Mapping[str, Any]


class Guard:
    """An ASGI application around another.

    A page of another host that runs in a client's browser may not ask (its ``Origin`` is not ours), nor one that has
    its name resolved to this machine (``Host`` is none of ``hosts``, where these are known). With a ``token``, all but
    the ``open`` paths want it. ``answered(path, status, seconds)`` is told of each request; a client that does not read
    its answer for ``timeout`` seconds is left.
    """

    def __init__(
        self,
        app: Any,
        *,
        token: str | None,
        hosts: frozenset[str],
        open: frozenset[str],
        answered: Callable[[str, int, float], None],
        timeout: float,
    ) -> None:
        self.app, self.token, self.hosts, self.open = app, token, hosts, open
        self.answered, self.timeout = answered, timeout

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        start, status = perf_counter(), 101 if scope["type"] == "websocket" else 499  # until more is known

        whole = scope["type"] == "websocket"

        async def receiving() -> Any:
            nonlocal whole
            message = await receive()
            whole = not message.get("more_body", False)
            return message

        async def sending(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= 400 and not whole and _closes(scope):
                    await _rest(receiving)
                known = {name.lower() for name, _ in message["headers"]}
                own = [pair for pair in HEADERS if pair[0] not in known]
                message = {**message, "headers": [*message["headers"], *own]}
            async with asyncio.timeout(self.timeout):
                await send(message)

        try:
            refused = self._refused(scope)
            if refused is None:
                await self.app(scope, receiving, sending)
            elif scope["type"] == "websocket":
                await _close(refused, receive, send)
            else:
                await _answer(refused, sending)
        except TimeoutError:  # of sending: the connection is closed, since its answer is not whole
            status = 499
        finally:
            self.answered(scope["path"], status, perf_counter() - start)

    def _refused(self, scope: Scope) -> Refused | None:
        """Why a request is not taken, if it is not."""
        raw = dict(scope["headers"])
        headers = {name: value.decode("latin-1") for name, value in raw.items()}
        host = headers.get(b"host", "")
        if self.hosts and _name(host) not in self.hosts:
            expected = f"one of {', '.join(sorted(self.hosts))}"
            return Refused(421, f"the host {host[:80]!r}", expected=expected, do="Ask the server by its own name.")
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            given = f"a page of {origin[:80]!r} asks"
            return Refused(403, given, expected="a page of this server, or a program", do="Open the server's page.")
        if self.token is None or scope["path"] in self.open:
            return None
        given_token = raw.get(b"authorization", b"").removeprefix(b"Bearer ")
        if scope["type"] == "websocket" and not given_token:
            query = parse_qs(scope["query_string"].decode("latin-1"))
            given_token = query.get("token", [""])[0].encode("utf-8", "surrogateescape")
        if secrets.compare_digest(given_token, self.token.encode("utf-8", "surrogateescape")):
            return None
        do = "Send the header: Authorization: Bearer TOKEN"
        return Refused(401, "a wrong token" if given_token else "no token", expected="the server's token", do=do)


def _closes(scope: Scope) -> bool:
    """Whether the connection ends with the answer."""
    asked = dict(scope["headers"]).get(b"connection", b"").lower()
    return asked == b"close" or scope["http_version"] == "1.0"


async def _rest(receiving: Callable[[], Awaitable[Any]]) -> None:
    """Let the client send the rest of its request for a while: closed before, its connection would break, and the
    answer be lost."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            while (await receiving()).get("more_body", False):
                pass


def _name(host: str) -> str:
    """The host of ``HOST:PORT``."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


async def _answer(error: Refused, send: Any) -> None:
    body = json.dumps({"error": plain_error(error)}, ensure_ascii=False).encode("utf-8", "replace")
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"www-authenticate", b"Bearer")] if error.status == 401 else []
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _close(error: Refused, receive: Any, send: Any) -> None:
    """A browser tells its page nothing of a refused socket: one without token is opened, told, and closed."""
    await receive()
    if error.status != 401:
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": json.dumps({"error": plain_error(error)})})
    await send({"type": "websocket.close", "code": 1008, "reason": "the token is missing or wrong"})
