"""What a server counts, as Prometheus reads it: https://prometheus.io/docs/instrumenting/exposition_formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crnn.errors import MissingExtra

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one server. ``waiting`` says how many samples wait, ``listening`` how many sockets are open."""

    def __init__(self, waiting: Callable[[], float], listening: Callable[[], float]) -> None:
        prometheus = _prometheus()
        self.registry = prometheus.CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry}
        counter, histogram = prometheus.Counter, prometheus.Histogram
        self._requests = counter("crnn_requests", "Requests.", ["route", "status"], **own)
        self._seconds = histogram("crnn_request_seconds", "Seconds of a request.", ["route"], buckets=SECONDS, **own)
        self._samples = counter("crnn_samples", "Samples answered.", **own)
        self._errors = counter("crnn_errors", "Samples with an error in the place of an answer.", ["error"], **own)
        self._batches = histogram("crnn_batch_size", "Samples of a batch.", buckets=SIZES, **own)
        prometheus.Gauge("crnn_queue_length", "Samples that wait.", **own).set_function(waiting)
        prometheus.Gauge("crnn_listeners", "Sockets that listen.", **own).set_function(listening)

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batch(self, answers: list[Any]) -> None:
        """A batch was answered; exceptions among ``answers`` stand in the place of one."""
        self._batches.observe(len(answers))
        for answer in answers:
            if isinstance(answer, Exception):
                self._errors.labels(type(answer).__name__).inc()
            else:
                self._samples.inc()

    def text(self) -> bytes:
        """All that was counted."""
        found: bytes = _prometheus().generate_latest(self.registry)
        return found


def _prometheus() -> Any:
    try:
        import prometheus_client
    except ImportError as error:
        raise MissingExtra("prometheus_client", "serve") from error
    return prometheus_client
