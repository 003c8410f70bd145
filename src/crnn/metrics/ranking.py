"""How far up the right one stands where pictures are ranked for a sentence (search) and sentences for a picture
(annotation): recall at 1, 5 and 10, and the median rank.

Of several sentences of a picture the first counts, as in Hodosh et al. (2013, JAIR 47). Who fits as well as another
shares its rank, so that a network that says the same of all is not first everywhere. Where there are more than
``GALLERY`` pictures they are ranked in parts of about as many, one after the other (as the 1000 of MS COCO), and the
means of the parts are given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import comb

import numpy as np

from crnn.metrics.interval import interval

GALLERY = 1000  # pictures that are ranked at once
AT = (1, 5, 10)
FIGURES: dict[str, tuple[str, str, str]] = {
    "recall": ("Recall", "Mean of recall at 1, 5 and 10, of search and of annotation; it chooses the bundle.", "%"),
    **{f"r{k}": (f"Search R@{k}", f"Sentences whose picture is among the {k} that fit best.", "%") for k in AT},
    "median_rank": ("Search median rank", "Half of the sentences have their picture here or further up.", ""),
    **{
        f"annotation_r{k}": (f"Annotation R@{k}", f"Pictures with one of their sentences among the {k} best.", "%")
        for k in AT
    },
    "annotation_median_rank": ("Annotation median rank", "The same of pictures, by their best sentence.", ""),
    "r10_over_chance": ("R@10 over chance", "R@10 against that of a guess: the smaller of search and annotation.", ""),
}


def parts_of(count: int) -> Iterator[range]:
    """The numbers of the pictures that are ranked together, in parts as alike as can be."""
    parts = max(1, round(count / GALLERY))
    for i in range(parts):
        yield range(i * count // parts, (i + 1) * count // parts)


def ranks(fits: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rank of each sentence's picture ``(sentences,)``, and of each picture's best sentence ``(pictures,)``, from 1
    on; ``nan`` for a picture without a sentence. ``fits`` is ``(pictures, sentences)``, ``owner`` ``(sentences,)``."""
    own = fits[owner, np.arange(len(owner))]
    search = 1 + (fits > own).sum(0) + ((fits == own).sum(0) - 1) / 2
    annotation = np.full(len(fits), np.nan)
    for k in range(len(fits)):
        mine = owner == k
        if mine.any():
            best = fits[k][mine].max()
            others = fits[k][~mine]
            annotation[k] = 1 + (others > best).sum() + (others == best).sum() / 2
    return search, annotation


def score(
    parts: Sequence[tuple[np.ndarray, np.ndarray]], groups: Sequence[str | None] | None = None
) -> dict[str, float]:
    """The figures of ``FIGURES`` for parts ``(fits, owner)``; of R@10 also the ends of the 95 % interval, over whole
    groups of pictures, where there are several."""
    found = [ranks(fits, owner) for fits, owner in parts]
    starts = np.cumsum([0, *(len(fits) for fits, _ in parts)])
    picture = np.concatenate([owner + start for (_, owner), start in zip(parts, starts, strict=False)])
    search, annotation = (np.concatenate(each) for each in zip(*found, strict=True))
    there = ~np.isnan(annotation)
    figures = _figures(search, annotation[there])
    guess = chance(parts)
    ratios = [figures[name] / guess[name] for name in ("r10", "annotation_r10") if guess[name]]
    figures["r10_over_chance"] = min(ratios, default=float("nan"))
    # the sentences of one picture are alike, so pictures are drawn, or groups of them
    names = [f"picture {k}" if groups is None or groups[k] is None else f"group {groups[k]}" for k in range(starts[-1])]
    of = (
        ("r10", search, [names[k] for k in picture]),
        ("annotation_r10", annotation[there], [names[k] for k in np.flatnonzero(there)]),
    )
    for name, values, own in of if there.sum() > 1 else ():
        hits = (values <= AT[-1]).astype(np.float64)
        figures[f"{name}_low"], figures[f"{name}_high"] = interval(hits, np.ones(len(hits)), own)
    return {name: figures[name] for name in (*FIGURES, *(n for n in figures if n not in FIGURES))}


def chance(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """The same figures for who guesses: expected shares, and expected ranks in the place of medians."""
    counts = [(len(fits), np.bincount(owner, minlength=len(fits))) for fits, owner in parts]
    return guessed(counts)


def guessed(counts: Sequence[tuple[int, np.ndarray]]) -> dict[str, float]:
    """``chance`` of parts of so many pictures, of which each has so many sentences ``(pictures,)``."""
    search, annotation = [], []
    for pictures, own in counts:
        total = int(own.sum())
        search += [(total, _search_chance(pictures))]
        annotation += [(1, _annotation_chance(total, int(n))) for n in own if n]
    found = {}
    for prefix, rows in (("", search), ("annotation_", annotation)):
        weight = max(1, sum(n for n, _ in rows))
        for name in (*(f"r{k}" for k in AT), "median_rank"):
            found[prefix + name] = sum(n * row[name] for n, row in rows) / weight
    found["recall"] = float(np.mean([found[f"{p}r{k}"] for p in ("", "annotation_") for k in AT]))
    found["r10_over_chance"] = 1.0
    return {name: found[name] for name in FIGURES}


def _figures(search: np.ndarray, annotation: np.ndarray) -> dict[str, float]:
    figures: dict[str, float] = {}
    for prefix, own in (("", search), ("annotation_", annotation)):
        figures |= {f"{prefix}r{k}": float((own <= k).mean()) for k in AT}
        figures[f"{prefix}median_rank"] = float(np.median(own))
    figures["recall"] = float(np.mean([figures[f"{p}r{k}"] for p in ("", "annotation_") for k in AT]))
    return figures


def _search_chance(pictures: int) -> dict[str, float]:
    return {f"r{k}": min(1.0, k / pictures) for k in AT} | {"median_rank": (pictures + 1) / 2}


def _annotation_chance(total: int, own: int) -> dict[str, float]:
    """Of ``total`` sentences in any order, ``own`` are of the picture."""
    miss = {k: comb(total - own, k) / comb(total, k) if total >= k else 0.0 for k in AT}
    return {f"r{k}": 1 - miss[k] for k in AT} | {"median_rank": (total + 1) / (own + 1)}
