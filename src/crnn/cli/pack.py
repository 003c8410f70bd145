"""``crnn pack``: many files into a few large ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from crnn.cli.options import Answer, Format, Group, Outside, Settings, recipe_of, say_left_out
from crnn.errors import CrnnError


def pack(
    data: Annotated[str, Parameter(help="Folder or table of samples, in any known format.")],
    out: Annotated[Path, Parameter(help="New folder for the shards.")],
    /,
    *,
    task: Annotated[str, Parameter(help="What is to be answered: a task or a recipe (.toml).")] = "transcribe",
    shard_mb: Annotated[float, Parameter(help="Megabytes of a shard.")] = 256,
    format: Format = "auto",
    group: Group = None,
    answer: Answer = None,
    outside: Outside = False,
    settings: Settings = None,
) -> int:
    """Pack samples into WebDataset shards (.tar) with an index, to train from a far disk or server: --data OUT.

    crnn pack lines/ shards/
    crnn pack recordings/ shards/ --task classify --group 'speaker(\\d+)' --shard-mb 512
    """
    from dataclasses import replace

    from crnn.data.formats import open_data
    from crnn.data.shards import write_shards
    from crnn.deploy.asked import asked_of, kinds_of

    console = Console(stderr=True)
    recipe = recipe_of(task, data=data, model=None, settings=settings, train=None, others=None)
    given = replace(recipe.data, group=group, answer=answer, outside=outside or recipe.data.outside)
    asked = asked_of(replace(recipe, data=given))
    left_out: list[CrnnError] = []
    samples = open_data(data, format, left_out, asked=asked)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        row = bar.add_task("packing", total=len(samples))
        packed = write_shards(
            samples,
            out,
            answer=asked.answer,
            megabytes=shard_mb,
            progress=lambda: bar.advance(row),
            kinds=kinds_of(recipe),
        )
    left_out += packed.left_out
    say_left_out(console, left_out, most=10)
    count, size = (sum(s[key] for s in packed.shards.values()) for key in ("samples", "bytes"))
    console.print(f"{count:,} samples, {size / 1e6:,.1f} MB in {len(packed.shards):,} shards: {out}", highlight=False)
    return 1 if left_out else 0
