"""``crnn push`` and ``crnn pull``: networks that are shared, as a folder or on the Hugging Face hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def push(
    bundle: Annotated[str, Parameter(help="A run folder, a .safetensors file or zoo:NAME.")],
    target: Annotated[str, Parameter(help="A folder, or hf:USER/NAME on the hub.")],
    /,
    *,
    private: Annotated[bool, Parameter(help="Make a repository that only you see.", negative="")] = False,
) -> None:
    """Share a network: its weights, settings and a model card, and nothing that runs code.

    crnn push runs/hand shared/hand
    crnn push runs/hand hf:ada/hand
    """
    from crnn.deploy.hub import push as write

    sys.stdout.write(f"{write(bundle, target, private=private)}\n")


def pull(
    source: Annotated[str, Parameter(help="A folder that crnn push wrote, or hf:USER/NAME on the hub.")],
    out: Annotated[Path, Parameter(help="The run folder to write.")],
    /,
) -> None:
    """Take a shared network into a run folder; only weights and settings are taken, and read strictly.

    crnn pull hf:ada/hand runs/hand
    crnn predict runs/hand page/*.png
    """
    from crnn.deploy.hub import pull as read

    sys.stdout.write(f"{read(source, out)}\n")
