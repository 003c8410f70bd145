"""A service at an address until it is told to stop (uvicorn)."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from crnn.deploy.serving.app import app_of
from crnn.deploy.serving.guard import LOOPBACK
from crnn.deploy.serving.service import Service
from crnn.errors import MissingExtra, SettingsError

LATE = 10.0
"""Seconds in which a client must have sent the head of a request."""
MESSAGE = 1 << 20
"""Bytes of one message of a socket."""
MORE = 5
"""Seconds after the time limit of requests after which a server that stops waits for nobody."""


def serve(
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    drain: float = 1.0,
    started: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; ``started`` is told the address. Port 0 takes a free one.

    Who is told to stop says 503 to new requests (and at /ready) for at least ``drain`` seconds and until those that
    were taken are answered; then it closes. Told twice, it is killed. Raises ``MissingExtra``, and ``SettingsError``
    where the address cannot be had.
    """
    try:
        import python_multipart  # noqa: F401 (by which forms are read)
        import uvicorn
        import websockets  # noqa: F401 (by which sockets are)
        from uvicorn.protocols.http.h11_impl import H11Protocol
    except ImportError as error:
        raise MissingExtra(error.name or "uvicorn", "serve") from error

    class Patient(H11Protocol):
        """Waits only so long for the head of a request; what has begun has limits of its own."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._seen, self._closing = self.cycle, False
            self._watch()

        def _watch(self) -> None:
            self.loop.call_later(LATE, self._look)

        def _look(self) -> None:
            if self.transport.get_protocol() is not self:  # a socket by now
                return
            if self._closing:  # and what was answered is still not read
                self.transport.abort()
                return
            if self.transport.is_closing():
                self._closing = True
            elif self.cycle is self._seen and (self.cycle is None or self.cycle.response_complete):
                self.transport.close()
                self._closing = True
            self._seen = self.cycle
            self._watch()

    class Server(uvicorn.Server):
        """Drains before it closes, and ends well when it was told to stop."""

        told = 0.0

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                started(_address(host, listening))

        @contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        def handle_exit(self, sig: int, frame: Any) -> None:
            if self.told:  # a batch may be at work that nothing else ends
                signal.signal(sig, signal.SIG_DFL)
                signal.raise_signal(sig)
            self.told = monotonic()

        async def on_tick(self, counter: int) -> bool:
            if self.told:
                service.stop()
                hangs = service.hanging.is_set() and not service.asking
                if (hangs or not service.busy) and monotonic() - self.told >= drain:
                    if hangs:  # its thread would be waited for, for ever
                        self.handle_exit(signal.SIGTERM, None)
                    self.should_exit = True
            return await super().on_tick(counter)

    hosts = frozenset({*LOOPBACK, host.lower()}) if host.lower() in LOOPBACK else frozenset()
    config = uvicorn.Config(
        app_of(service, token=token, hosts=hosts),
        http=Patient,
        ws="websockets-sansio",
        ws_max_size=MESSAGE,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=int(service.limits.timeout) + MORE,
    )
    with _bound(host, port) as listening:
        Server(config).run(sockets=[listening])


def _bound(host: str, port: int) -> socket.socket:
    """A socket at the address. Raises ``SettingsError``."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
        except BaseException:
            made.close()
            raise
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        given = f"the address {host}:{port} cannot be had ({why})"
        raise SettingsError(given, expected="a free one of this machine", do="Write: --port 0, or another.") from error
    return made


def _address(host: str, made: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{made.getsockname()[1]}/"
