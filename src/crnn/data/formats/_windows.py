"""Windows of a timeline or film: what is seen, what is to be foretold, and which part of the data it belongs to.

A window that begins at step ``start`` sees the steps ``start .. start + window - 1``; its targets are ``horizon``
steps, the first of them ``lead`` steps after the last that is seen. Parts follow one another in time. A window belongs
to the part that holds all its targets; what it sees may lie in the part before, as it would in use, but never the other
way round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crnn.data.formats._files import Split
from crnn.errors import SettingsError

PARTS: tuple[Split, Split, Split] = ("train", "valid", "test")


def cut(
    steps: int,
    shares: Sequence[float],
    *,
    window: int,
    horizon: int,
    lead: int = 1,
    every: int = 1,
    only: Split | None = None,
) -> Iterator[tuple[int, Split]]:
    """Beginning and part of each window of a timeline of ``steps`` steps, from early to late.

    ``shares`` are those of ``parts``. Windows of train and valid begin ``every`` steps apart, those of test at every
    step, so that figures do not depend on it. With ``only`` all belongs to that part.

    >>> list(cut(10, (0.6, 0.2, 0.2), window=3, horizon=2))
    [(0, 'train'), (1, 'train'), (3, 'valid'), (5, 'test')]
    """
    named = {only: (0, steps)} if only else dict(zip(PARTS, parts(steps, shares), strict=True))
    for name, (begin, end) in named.items():
        first = max(0, begin - window - lead + 1)  # whose first target is the part's first step
        last = end - window - lead - horizon + 1
        for start in range(first, last + 1, 1 if name == "test" else every):
            yield start, name


def parts(steps: int, shares: Sequence[float]) -> list[tuple[int, int]]:
    """Where train, valid and test begin and end, in ``steps`` steps. Three ``shares`` of at most 1 are shares of the
    steps, larger ones numbers of steps; what they leave at the end is not used. Raises ``SettingsError``.

    >>> parts(10, (0.6, 0.2, 0.2)), parts(10, (5, 2, 2))
    ([(0, 6), (6, 8), (8, 10)], [(0, 5), (5, 7), (7, 9)])
    """
    of = 1 if max(shares, default=0) > 1 else steps
    whole = steps if of == 1 else 1
    if len(shares) != len(PARTS) or min(shares) < 0 or sum(shares) > whole + 1e-6 or shares[0] <= 0:
        expected = f"three shares, together at most 1, or numbers of steps, together at most {steps}"
        given = f"the parts are {', '.join(map(str, shares))} of {steps} steps"
        raise SettingsError(given, expected=expected, do="Write: shares = [0.6, 0.2, 0.2]")
    ends = [min(steps, int(sum(shares[: i + 1]) * of + 1e-6)) for i in range(len(PARTS))]
    return list(zip([0, *ends[:-1]], ends, strict=True))
