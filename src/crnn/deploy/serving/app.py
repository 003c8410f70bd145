"""The routes of a server, as an ASGI application (Starlette)."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from crnn.deploy.serving.guard import Guard
from crnn.deploy.serving.jobs import options_of
from crnn.deploy.serving.limits import Refused, plain_error, status_of
from crnn.deploy.serving.openapi import document
from crnn.deploy.serving.service import Gone, Service
from crnn.deploy.serving.uploads import Reader
from crnn.errors import CrnnError, MissingExtra

PAGE = Path(__file__).parent / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
METRICS = "text/plain; version=0.0.4; charset=utf-8"
PUBLIC = frozenset({"/", "/health", "/ready"})
LOG = logging.getLogger("crnn.serve")


def app_of(service: Service, *, token: str | None = None, hosts: frozenset[str] = frozenset()) -> Any:
    """The application that serves ``service``, for any ASGI server; see ``Guard`` for ``token`` and ``hosts``. Raises
    ``MissingExtra``."""
    try:
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.requests import ClientDisconnect, Request
        from starlette.responses import Response
        from starlette.routing import Route, WebSocketRoute
        from starlette.websockets import WebSocket, WebSocketDisconnect
    except ImportError as error:
        raise MissingExtra("starlette", "serve") from error

    files = {f"/{path.relative_to(PAGE).as_posix()}": path for path in PAGE.rglob("*") if path.suffix in TYPES}

    def said(values: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        body = json.dumps(values, ensure_ascii=False).encode("utf-8", "replace")
        return Response(body, status, dict(headers or {}), "application/json")

    async def form(request: Any, most: int) -> Any:
        try:
            return await request.form(max_files=most, max_fields=most, max_part_size=1_000_000)
        except HTTPException as error:
            status = 413 if error.detail.startswith(("Too many", "Part exceeded")) else 400
            do = "Send fewer files." if status == 413 else "Send the field file of multipart/form-data."
            given, expected = f"a form that cannot be read ({error.detail})", "a form with files"
            raise Refused(status, given, expected=expected, do=do) from error

    async def ask(request: Request) -> Response:
        options, html = options_of(request.query_params)
        service.check(options)
        inputs = {name: bool(kind.spec.vocabulary) for name, kind in service.answerer.kinds.items()}
        reader = Reader(inputs or {"": bool(service.answerer.kind.spec.vocabulary)}, service.limits)

        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        with service.held.counted(request.receive) as receive:
            limited = Request(request.scope, receive)  # type: ignore[arg-type]
            answered = await service.ask(lambda: reader.jobs(limited, form, options, html), gone)
        for _, answer in answered:
            if isinstance(answer, Exception) and not isinstance(answer, CrnnError):
                LOG.error("a sample could not be answered", exc_info=answer)
        if len(answered) == 1 and isinstance(answered[0][1], Exception):
            return broken(answered[0][1])
        values = [
            {"id": job.name, "error": plain_error(_sentence(answer))} if isinstance(answer, Exception) else answer
            for job, answer in answered
        ]
        return said({"answers": values})

    def broken(error: Exception) -> Response:
        if not isinstance(error, CrnnError):
            return said({"error": plain_error(_sentence(error))}, 500)
        headers = {"retry-after": str(error.retry)} if isinstance(error, Refused) and error.retry else {}
        return said({"error": plain_error(error)}, status_of(error), headers)

    async def on_error(request: Any, error: Exception) -> Response:
        return broken(error)

    async def on_http(request: Any, error: Any) -> Response:
        path = str(request.url.path)[:80]
        known = f"POST /{service.answerer.name}, or what /openapi.json names"
        given = f"{request.method} {path}"
        refused = Refused(error.status_code, given, expected=known, do="Look at the address and the method.")
        return said({"error": plain_error(refused)}, error.status_code, error.headers)

    async def on_leaving(request: Any, error: Exception) -> Response:
        return Response(status_code=499)

    async def page(request: Request) -> Response:
        path = files["/index.html" if request.url.path == "/" else request.url.path]
        return Response(path.read_bytes(), media_type=TYPES[path.suffix], headers={"cache-control": "no-cache"})

    async def about(request: Request) -> Response:
        return said(service.about())

    async def health(request: Request) -> Response:
        service.alive()
        return said({"alive": True})

    async def ready(request: Request) -> Response:
        service.alive()
        return said({"ready": service.ready}, 200 if service.ready else 503)

    async def metrics(request: Request) -> Response:
        return Response(service.metrics.text(), headers={"content-type": METRICS})

    async def openapi(request: Request) -> Response:
        return said(document(service.about(), token=token is not None))

    async def listen(socket: WebSocket) -> None:
        await service.ears.listen(socket, WebSocketDisconnect)

    @asynccontextmanager
    async def running(app: Any) -> AsyncIterator[None]:
        async with service.running():
            # the name of the task is known with the network
            app.router.routes.append(Route(f"/{service.answerer.name}", ask, methods=["POST"]))
            routes.add(f"/{service.answerer.name}")
            yield

    plain = {"/about": about, "/health": health, "/ready": ready, "/metrics": metrics, "/openapi.json": openapi}
    gets = {**dict.fromkeys(files, page), **plain, **({"/": page} if "/index.html" in files else {})}
    routes = {*gets, "/listen"}
    handlers: Any = {CrnnError: on_error, HTTPException: on_http, ClientDisconnect: on_leaving, Gone: on_leaving}
    starlette = Starlette(
        routes=[*(Route(path, answer) for path, answer in gets.items()), WebSocketRoute("/listen", listen)],
        exception_handlers={**handlers, OSError: on_error, Exception: on_error},
        lifespan=running,
    )

    starlette.router.redirect_slashes = False  # an address is right or wrong

    def answered(path: str, status: int, seconds: float) -> None:
        service.metrics.request(path if path in routes else "other", status, seconds)

    return Guard(
        starlette,
        token=token,
        hosts=hosts,
        open=PUBLIC | frozenset(files),
        answered=answered,
        timeout=service.limits.timeout,
    )


def _sentence(error: Exception) -> CrnnError:
    """What is said of an error; of one that is ours, no more than its kind."""
    if isinstance(error, CrnnError):
        return error
    if isinstance(error, OSError):
        given = f"the server could not keep what was sent ({error.strerror})"
        return CrnnError(given, expected="room on its disk", do="Ask again later.")
    given = f"a mistake of the server ({type(error).__name__})"
    return CrnnError(given, expected="an answer", do="Please report it, with the file.")
