"""``crnn serve``: a network behind HTTP, with a page to drop files on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from crnn.cli.options import (
    BUNDLES,
    Arithmetic,
    BatchSize,
    Reader,
    ReadOptions,
    Threads,
    options_of,
    read_as_told,
)
from crnn.cli.options import threads as use_threads
from crnn.cli.pages import page_reader, reads_pages
from crnn.config import as_dict, fill
from crnn.deploy.serving.limits import Limits
from crnn.errors import SettingsError

LimitOptions = options_of(Limits)
TOKEN = "CRNN_TOKEN"


def serve(
    bundle: Annotated[str, Parameter(help=BUNDLES)],
    /,
    *,
    host: Annotated[str, Parameter(help="Address to listen at; 0.0.0.0 is every one of this machine.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen at; 0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        Parameter(help=f"What clients must send: Authorization: Bearer TOKEN. [default: {TOKEN}, else none]"),
    ] = None,
    wait: Annotated[float, Parameter(help="Milliseconds that a sample waits for others of its batch.")] = 5.0,
    drain: Annotated[
        float, Parameter(help="Seconds at least for which a server that stops still says so, before it closes.")
    ] = 1.0,
    reader: Reader = None,
    batch_size: BatchSize = 16,
    precision: Arithmetic = "auto",
    threads: Threads = 0,
    limits: LimitOptions = None,  # type: ignore[valid-type]
    reading: ReadOptions = None,  # type: ignore[valid-type]
) -> int:
    """Serve a network: an HTTP API with OpenAPI, batches across requests, a socket for live sound, and a page.

    crnn serve zoo:typewritten
    crnn serve runs/hand --port 0 --max-mb 5
    CRNN_TOKEN=secret crnn serve hand.onnx --host 0.0.0.0
    curl -F file=@line.png http://127.0.0.1:8000/transcribe
    """
    from crnn.deploy.ready import is_exported
    from crnn.deploy.ready import predictor as ready
    from crnn.deploy.serving.server import serve as run
    from crnn.deploy.serving.service import Service

    given = {key: value for key, value in as_dict(limits).items() if value is not None} if limits else {}
    if wait < 0 or drain < 0:
        wrong = f"--wait {wait:g}" if wait < 0 else f"--drain {drain:g}"
        raise SettingsError(wrong, expected="0 or more", do="Leave it out.")
    if not 0 <= port < 65536:  # of a larger one a socket would take the last 16 bits
        raise SettingsError(f"--port {port}", expected="0 to 65535", do="Leave it out, or give 0 for a free one.")
    token = token or os.environ.get(TOKEN) or None
    use_threads(0 if is_exported(bundle) else threads)
    network: Any = ready(bundle, precision=precision, batch_size=batch_size, threads=threads)
    if reads_pages(network, reader):
        network = page_reader(network, reader, reading, {"precision": precision, "batch_size": batch_size})
    else:
        read_as_told(network, reading)
    path = Path(bundle)
    plain = path.parent.name if path.name == "bundle.safetensors" else path.name  # of a run its folder's
    name = bundle if bundle.startswith("zoo:") or "," in bundle else plain
    own = fill(Limits, given, "serve")
    service = Service(network, name, limits=own, batch_size=batch_size, wait=wait, threads=threads)

    def started(address: str) -> None:
        sys.stdout.write(f"{name} for {service.answerer.name} at {address}\n")
        sys.stdout.flush()

    run(service, host=host, port=port, token=token, drain=drain, started=started)
    return 0
