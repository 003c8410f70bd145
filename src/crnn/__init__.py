"""crnn: convolutional recurrent networks to train, test, use and ship.

>>> import crnn
>>> read = crnn.load("zoo:typewritten")           # doctest: +SKIP
>>> read("line.png").value                        # doctest: +SKIP
'Anders Celsius'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "align", "create", "fit", "layers", "load", "pages", "search", "stream"]

if TYPE_CHECKING:
    from crnn import layers
    from crnn.api import align, create, fit, load, pages, search, stream


def __getattr__(name: str) -> Any:
    """Public names are imported when first used, so that ``import crnn`` and ``crnn --help`` do not wait for torch."""
    if name == "load":  # an exported network answers without torch
        from crnn.deploy import ready

        return ready.load
    if name in ("align", "create", "fit", "pages", "search", "stream"):
        from crnn import api

        return getattr(api, name)
    if name == "layers":
        import importlib

        return importlib.import_module("crnn.layers")
    raise AttributeError(f"module 'crnn' has no attribute {name!r}")
