"""``crnn train``: from data to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from crnn.cli.options import (
    Data,
    DataOptions,
    Horizon,
    Model,
    RecipeName,
    Settings,
    TrainOptions,
    given_of,
    recipe_of,
    settings_with,
)
from crnn.errors import SettingsError


def train(
    recipe: RecipeName = None,
    data: Data = None,
    *,
    model: Model = None,
    horizon: Horizon = None,
    out: Annotated[Path | None, Parameter(help="Folder of the run. [default: runs/ and the recipe's name]")] = None,
    start: Annotated[
        str | None,
        Parameter(help="Bundle to begin with: a run, a file or zoo:NAME; of another task, its encoder alone."),
    ] = None,
    resume: Annotated[Path | None, Parameter(help="Folder of a stopped run to go on with; give nothing else.")] = None,
    settings: Settings = None,
    others: DataOptions = None,  # type: ignore[valid-type]
    training: TrainOptions = None,  # type: ignore[valid-type]
) -> None:
    """Train a network on your data and keep its best bundle.

    crnn train transcribe --data lines/ --out runs/mine
    crnn train classify --data pictures/ --set encoder.hidden=64
    crnn train recipes/transcribe-handwriting.toml --data lines/ --epochs 20
    crnn train forecast prices.csv --horizon 24
    crnn train --resume runs/mine
    """
    from crnn.recipe import Recipe
    from crnn.train.fit import fit
    from crnn.train.ranks import first

    console = Console(stderr=True)
    if resume is not None:
        told = {"recipe": recipe, "data": data, "model": model, "horizon": horizon, "out": out, "start": start}
        _alone(resume, told | {"set": settings} | given_of(others) | given_of(training))
        path = fit(Recipe(), resume, resume=True, console=console)
    else:
        values = settings_with(settings, horizon)
        made = recipe_of(recipe, data=data, model=model, settings=values, train=training, others=others)
        out = out or _free(Path("runs") / Path(recipe or ("tuned" if start else "transcribe")).stem)
        path = fit(made, out, start=start, console=console)
    if first():
        console.print(f"best bundle: {path}", highlight=False)


def _alone(resume: Path, told: dict[str, Any]) -> None:
    """Nothing is ``told`` beside the run to go on with. Raises ``SettingsError``."""
    if also := [name for name, value in told.items() if value is not None]:
        raise SettingsError(
            f"--resume {resume} is given with {also[0].replace('_', '-')}",
            expected="nothing else: a run goes on as it began",
            do=f"Leave it out; or learn anew from what the run has learned: --start {resume}",
        )


def _free(path: Path) -> Path:
    """``path``, or ``path-2`` and so on, the first that is not there."""
    numbers = (path if i == 1 else path.with_name(f"{path.name}-{i}") for i in range(1, 10_000))
    return next(p for p in numbers if not p.exists())
