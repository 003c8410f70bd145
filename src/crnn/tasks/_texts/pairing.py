"""Whether texts and inputs belong together, judged by their lengths: a long text wants a long line or recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from crnn.findings import Finding, Seen

LEAST = 30  # samples from which lengths are compared at all
BLOCK = 25  # neighbouring samples that are looked at together where there are no groups
LEAST_GROUP = 8  # samples of one hand or page that say how wide it writes


def doubts(seen: Sequence[Seen], clean: Callable[[str], str]) -> Iterator[Finding]:
    """What the lengths of usable samples say of each split, of runs of neighbours and of single samples."""
    if len(seen) < LEAST:
        return
    letters = np.array([len(clean(s.sample.y)) for s in seen], dtype=float)
    inputs = np.array([s.inputs for s in seen], dtype=float)
    astray: set[int] = set()
    for split in dict.fromkeys(s.split for s in seen):
        at = np.array([i for i, s in enumerate(seen) if s.split == split])
        if len(at) >= LEAST and _unrelated(inputs[at], letters[at]):
            astray.update(at.tolist())
            said = f"of the split {split} have lengths that say nothing of the lengths of their texts"
            do = "Look at a few of them: pictures and texts were probably sorted in different ways."
            yield Finding("warning", "texts of other samples", None, said, do, split)
    for block in _blocks(seen):
        if by := _moved(inputs[block], letters[block]):
            astray.update(block.tolist())
            first, last = (seen[i].sample for i in (block[0], block[-1]))
            said = f"and all to {last.id} have lengths that fit the texts {by} theirs much better"
            do = "Find the text that is missing or surplus, or the picture; from there on all are one off."
            yield Finding("warning", "texts moved by one", first.id, said, do, seen[block[0]].split)
    for i, ratio in _outliers(seen, inputs, letters):
        if i not in astray:
            s, text = seen[i], clean(seen[i].sample.y)
            count = "one letter" if len(text) == 1 else f"{len(text)} letters"
            much = f"{ratio:.1f} times" if ratio > 1 else f"only {100 * ratio:.0f} % of"
            said = f"has {much} the length that is usual for {count} ({_short(text)!r})"
            do = "Check that the text belongs to it, and that neither is cut off."
            yield Finding("warning", "length does not fit the text", s.sample.id, said, do, s.split)


def _unrelated(inputs: np.ndarray, letters: np.ndarray) -> bool:
    """Whether lengths vary, and one says next to nothing of the other."""
    x, y = np.log(inputs + 1), np.log(letters + 1)
    return bool(x.std() > 0.15 and y.std() > 0.25 and np.corrcoef(x, y)[0, 1] < 0.3)


def _blocks(seen: Sequence[Seen]) -> Iterator[np.ndarray]:
    """Indices of neighbours in their order: whole groups, else ``BLOCK`` at a time."""
    groups: dict[tuple[str, str | None], list[int]] = {}
    for i, s in enumerate(seen):
        groups.setdefault((s.split, s.sample.group), []).append(i)
    for (_, group), members in groups.items():
        step = len(members) if group is not None else BLOCK
        for start in range(0, len(members), step):
            block = members[start : start + step]
            if len(block) >= LEAST_GROUP:
                yield np.array(block)


def _moved(inputs: np.ndarray, letters: np.ndarray) -> str | None:
    """Either "after" or "before", where the texts there fit much better than the own ones."""
    own = _misfit(inputs[1:-1], letters[1:-1])
    later, earlier = _misfit(inputs[:-1], letters[1:]), _misfit(inputs[1:], letters[:-1])
    best = min(later, earlier)
    if own - best > 0.06 and best < 0.55 * own:
        return "after" if later <= earlier else "before"
    return None


def _misfit(inputs: np.ndarray, letters: np.ndarray) -> float:
    """Mean deviation of the input steps a letter, as a logarithm, from their median."""
    rate = np.log(inputs / (letters + 1))
    return float(np.minimum(abs(rate - np.median(rate)), 1.0).mean())


def _outliers(seen: Sequence[Seen], inputs: np.ndarray, letters: np.ndarray) -> Iterator[tuple[int, float]]:
    """Samples far longer or shorter than their texts lead to expect from their group, or from all; and how far."""
    rate = np.log(inputs / (letters + 1))
    groups: dict[str | None, list[int]] = {}
    for i, s in enumerate(seen):
        groups.setdefault(s.sample.group, []).append(i)
    usual = np.full(len(seen), np.median(rate))
    for group, members in groups.items():
        if group is not None and len(members) >= LEAST_GROUP:
            usual[members] = np.median(rate[members])
    off = rate - usual
    spread = 1.4826 * np.median(abs(off))
    limit = max(np.log(2.2), 6 * spread) + 1 / letters  # margins make short texts vary more
    for i in np.flatnonzero(abs(off) > limit).tolist():
        yield i, float(np.exp(off[i]))


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
