"""Several networks that answer together: each answers by itself, with its own input and decoding, then they vote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crnn.config import Precision
from crnn.deploy.explain import Explanation
from crnn.deploy.predict import Answer, Predictor
from crnn.errors import CrnnError, SettingsError
from crnn.types import Prediction, Sample


class Vote(Predictor):
    """A predictor of several bundles for one task; how answers become one is the task's to say (``tasks.Task.vote``).

    What is asked of its task, input or network is that of the first bundle. Raises ``SettingsError`` for bundles of
    different tasks, and for answers that cannot be put to the vote.
    """

    def __init__(
        self,
        bundles: Sequence[str | Path],
        *,
        precision: Precision = "auto",
        batch_size: int = 16,
        device: str = "cpu",
    ) -> None:
        options = {"precision": precision, "batch_size": batch_size, "device": device}
        super().__init__(bundles[0], **options)  # type: ignore[arg-type]
        self.others = tuple(Predictor(bundle, **options) for bundle in bundles[1:])  # type: ignore[arg-type]
        for bundle, other in zip(bundles[1:], self.others, strict=True):
            if other.task.name != self.task.name:
                raise SettingsError(
                    f"{bundle} is a bundle for {other.task.name}",
                    expected=f"one for {self.task.name}, as {bundles[0]}",
                    do="Let bundles of one task vote.",
                )
        if not self.task.votes:
            given = f"several bundles for {self.task.name}"
            raise SettingsError(given, expected="labels, numbers or texts to vote on", do="Give one bundle.")

    @property
    def name(self) -> str:
        return " + ".join(voter.bundle.encoder["name"] for voter in self.voters)

    @property
    def voters(self) -> tuple[Predictor, ...]:
        return (self, *self.others)

    def explain(self, source: Any, *, of: Any = None) -> Explanation:
        raise SettingsError("several networks vote", expected="one", do="Ask each bundle by itself.")

    def _answer(self, samples: Sequence[Sample]) -> list[Answer]:
        """What those that can read a sample agree on; the first one's error if none can."""
        each = [super()._answer(samples), *(other._answer(samples) for other in self.others)]
        found: list[Answer] = []
        for answers in zip(*each, strict=True):
            given: list[Prediction] = [answer for answer in answers if not isinstance(answer, CrnnError)]
            found.append(self.task.vote(given) if given else answers[0])
        return found


def predictor(
    bundle: str | Path | Sequence[str | Path],
    *,
    precision: Precision = "auto",
    batch_size: int = 16,
    device: str = "cpu",
) -> Predictor:
    """A ``Predictor`` of a bundle, or a ``Vote`` of several: in a list, or in a text with commas between them."""
    if isinstance(bundle, str) and "," in bundle and not Path(bundle).exists():
        bundle = [name.strip() for name in bundle.split(",") if name.strip()]
    if not isinstance(bundle, (str, Path)) and len(bundle) > 1:
        return Vote(bundle, precision=precision, batch_size=batch_size, device=device)
    one = bundle if isinstance(bundle, (str, Path)) else bundle[0]
    return Predictor(one, precision=precision, batch_size=batch_size, device=device)
