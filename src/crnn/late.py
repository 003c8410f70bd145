"""torch, imported when something of it is first asked for: who answers with an exported network does without it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["F", "Tensor", "nn", "torch"]


class Late:
    """Stands for a module that is imported at the first look into it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn
else:
    torch, nn, F = Late("torch"), Late("torch.nn"), Late("torch.nn.functional")
    Tensor = Any  # stands in signatures alone
