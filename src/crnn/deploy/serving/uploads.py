"""Requests read: files, bytes or texts become jobs; what is too much is refused while it comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from crnn.deploy.serving.jobs import Given, Job, Options, Upload, name_of
from crnn.deploy.serving.limits import MEGABYTE, Limits, Refused, too_large

IN_MEMORY = MEGABYTE
"""Bytes of a file from which it is on the disk, not in memory."""
FULL = 16
"""How many requests of the largest size are held at once."""
LONGEST_ID = 200
"""Letters of a text that name it in its answer."""
HOW = "Send the field file of multipart/form-data, or bytes with ?name=line.png."

Read = Callable[[], Awaitable[Mapping[str, Any]]]


class Held:
    """How many bytes of requests a server holds, of all that are being read or answered."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self.bytes = limits, 0

    @contextmanager
    def counted(self, receive: Read) -> Iterator[Read]:
        """``receive`` of ASGI for one request, which is over with the context. It raises ``Refused`` as soon as more
        has come than may: 413, or 503 where it is that of others."""
        came, limits = 0, self.limits

        async def counting() -> Mapping[str, Any]:
            nonlocal came
            message = await receive()
            more = len(message.get("body", b""))
            came, self.bytes = came + more, self.bytes + more
            if came > limits.max_mb * MEGABYTE:
                raise too_large(f"more than {limits.max_mb} megabytes came", f"{limits.max_mb}", "--max-mb")
            if self.bytes > FULL * limits.max_mb * MEGABYTE:
                given, expected = f"{self.bytes:,} bytes are waited for already", "fewer, or smaller, requests at once"
                raise Refused(503, given, expected=expected, do="Ask again in a second.", retry=1)
            return message

        try:
            yield counting
        finally:
            self.bytes -= came


class Reader:
    """Makes jobs of requests. ``inputs`` says of each input of a sample (``""`` for the only one) whether it is
    text."""

    def __init__(self, inputs: Mapping[str, bool], limits: Limits) -> None:
        self.inputs, self.limits = inputs, limits
        self.several = tuple(name for name in inputs if name)

    async def jobs(self, request: Any, form: Callable[[Any, int], Awaitable[Any]], options: Options, html: bool) -> Any:
        """The jobs of ``request`` (of Starlette; ``form`` reads one of at most so many files). Raises ``Refused``."""
        said = int(text) if (text := request.headers.get("content-length", "0")).isdigit() else 0
        if said > self.limits.max_mb * MEGABYTE:
            raise too_large(f"{said:,} bytes are to come", f"{self.limits.max_mb} megabytes", "--max-mb")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        given: list[tuple[str, Given | Mapping[str, Given]]]
        async with _in_time(self.limits.timeout):
            if kind == "multipart/form-data":
                given = self._of_form(await form(request, self.limits.max_files + 1))
            elif kind == "application/json" and "name" not in request.query_params:
                given = self._of_json(await request.body())
            else:
                given = [await self._of_bytes(request)]
        loop = asyncio.get_running_loop()
        return [Job(name, one, options, html, loop.create_future()) for name, one in given]

    def _of_form(self, form: Any) -> list[tuple[str, Given | Mapping[str, Given]]]:
        """Files (and texts) of a form; each is a sample, or an input of the one sample."""
        items: list[tuple[str, Given]] = [
            (field, value if isinstance(value, str) else Upload(name_of(value.filename), value.file))
            for field, value in form.multi_items()
        ]
        try:
            if self.several:
                return [self._of_inputs(items)]
            strange = [field for field, one in items if field != ("text" if isinstance(one, str) else "file")]
            if strange:
                given = f"the field {strange[0][:40]!r}"
                raise Refused(400, given, expected="the field file, once or several times", do=HOW)
            if texts := [one for _, one in items if isinstance(one, str)]:
                self._texts(texts)
            self._count(len(items))
            return [(_id(one), one) for _, one in items]
        except Refused:
            for _, one in items:
                if isinstance(one, Upload):
                    one.file.close()
            raise

    def _of_inputs(self, items: list[tuple[str, Given]]) -> tuple[str, Mapping[str, Given]]:
        found = dict(items)
        wrong = [name for name in found if name not in self.inputs]
        missing = [name for name in self.several if name not in found]
        if wrong or missing or len(found) < len(items):
            given = f"the fields {', '.join(field[:40] for field, _ in items) or '(none)'}"
            expected = f"one of each: {', '.join(self.several)}"
            raise Refused(400, given, expected=expected, do="Send one sample, a field for each of its inputs.")
        if texts := [name for name, one in found.items() if isinstance(one, str) and not self.inputs[name]]:
            raise Refused(400, f"{texts[0]} is a text", expected="a file", do="Send the file itself.")
        first = found[self.several[0]]
        return _id(first), found

    def _of_json(self, body: bytes) -> list[tuple[str, Given | Mapping[str, Given]]]:
        """The texts of ``{"text": ...}`` or ``{"texts": [...]}``."""
        do = 'Write: {"text": "..."} or {"texts": ["...", "..."]}'
        try:
            values = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, "the request is not JSON", expected="JSON in UTF-8", do=do) from error
        keys = set(values) if isinstance(values, dict) else set()
        texts = values["texts"] if keys == {"texts"} else [values["text"]] if keys == {"text"} else None
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            given = f"the keys {', '.join(sorted(keys))[:80] or '(none)'}"
            raise Refused(400, given, expected="text or texts, and texts in them", do=do)
        self._texts(texts)
        self._count(len(texts))
        return [(_id(text), text) for text in texts]

    async def _of_bytes(self, request: Any) -> tuple[str, Given]:
        """The body as one file, named by the address."""
        if self.several:
            do = f"Send multipart/form-data with the fields {', '.join(self.several)}."
            raise Refused(400, "one body", expected=f"the inputs {', '.join(self.several)}", do=do)
        if "name" not in request.query_params:
            raise Refused(400, "a request without a file", expected="a file, and its name", do=HOW)
        file = cast(BinaryIO, SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115 (the job closes it)
        try:
            stream: AsyncIterator[bytes] = request.stream()
            async for piece in stream:
                file.write(piece)
        except BaseException:
            file.close()
            raise
        name = name_of(request.query_params["name"])
        return name, Upload(name, file)

    def _texts(self, texts: list[str]) -> None:
        if not self.inputs.get("", False):
            given, do = "a text", "Send the file itself; a path is not opened here."
            raise Refused(400, given, expected="a file, which is what the network reads", do=do)
        for text in texts:
            if "\0" in text or not text.strip():
                given = "an empty text" if not text.strip() else "a text with the sign NUL"
                raise Refused(422, given, expected="words", do="Write some.")

    def _count(self, count: int) -> None:
        if not count:
            raise Refused(400, "a request without a file", expected="one at least", do=HOW)
        if count > self.limits.max_files:
            raise too_large(f"more than {self.limits.max_files} files came", f"{self.limits.max_files}", "--max-files")


class _in_time:
    """Raises ``Refused`` (408) where what is awaited within takes longer."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.clock = seconds, asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self.clock.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        try:
            await self.clock.__aexit__(*error)
        except TimeoutError as late:
            given, do = f"the request had not come after {self.seconds:g} seconds", "Send it faster, or a smaller file."
            raise Refused(408, given, expected="the whole of it", do=do) from late


def _id(given: Given) -> str:
    """What names a file or text in its answer."""
    if isinstance(given, Upload):
        return given.name
    return given if len(given) <= LONGEST_ID else f"{given[:LONGEST_ID]} …"
