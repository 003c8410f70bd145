"""Others' beam searches, those that are installed, as functions from log-probabilities ``(steps, outputs)`` to a text.

Output 0 is the blank. fast-ctc-decode wants probabilities; flashlight wraps the text in its token for silence, which is
the blank here, and adds paths up only where it is told to; pyctcdecode takes off spaces at the ends.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

Decode = Callable[[np.ndarray], str]
SPACE = "<space>"


def named(package: str) -> str:
    """Name and version of a package; empty if it is not installed."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""


def plain(beam: int, letters: Sequence[str]) -> dict[str, Decode]:
    """Without a language model."""
    found: dict[str, Decode] = {}
    if name := named("fast-ctc-decode"):
        from fast_ctc_decode import beam_search

        def fast(log_probs: np.ndarray, cut: float) -> str:
            return beam_search(np.exp(log_probs), ["_", *letters], beam_size=beam, beam_cut_threshold=cut)[0]

        found[name] = lambda x: fast(x, 1e-3)
        found[f"{name}, all outputs"] = lambda x: fast(x, 0.0)
    if name := named("flashlight-text"):
        found[f"{name}, 20 outputs"] = flashlight(beam, letters, tokens=20, threshold=25)
        found[f"{name}, all outputs"] = flashlight(beam, letters, tokens=len(letters) + 1, threshold=1e9)
    if name := named("pyctcdecode"):
        found[name] = pyctcdecode(beam, letters)
    return found


def with_models(
    beam: int, letters: Sequence[str], words: Sequence[str], folder: Path, weight: float, bonus: float
) -> dict[str, Decode]:
    """With ``letters.arpa`` or ``words.arpa`` in ``folder``; ``weight`` is for natural logarithms, ``bonus`` for each
    word."""
    found: dict[str, Decode] = {}
    if not named("kenlm"):
        return found
    if name := named("flashlight-text"):
        told = {"weight": weight * math.log(10), "tokens": 20, "threshold": 25}
        found[f"{name}, 5-gram of letters"] = flashlight(beam, letters, arpa=folder / "letters.arpa", **told)
        found[f"{name}, lexicon, 3-gram of words"] = flashlight(
            beam, letters, arpa=folder / "words.arpa", words=words, bonus=bonus, **told
        )
    if name := named("pyctcdecode"):
        arpa = folder / "words.arpa"
        found[f"{name}, 3-gram of words"] = pyctcdecode(beam, letters, arpa, words, alpha=weight, beta=bonus)
    return found


def flashlight(
    beam: int,
    letters: Sequence[str],
    *,
    tokens: int,
    threshold: float,
    arpa: Path | None = None,
    words: Sequence[str] = (),
    weight: float = 0.0,
    bonus: float = 0.0,
) -> Decode:
    """flashlight-text: free, with a model of letters, or with a lexicon and a model of words."""
    from flashlight.lib.text import decoder as lib
    from flashlight.lib.text.dictionary import Dictionary

    names = ["_", *(SPACE if letter == " " else letter for letter in letters)]
    shared = {"beam_size": beam, "beam_size_token": tokens, "beam_threshold": threshold, "lm_weight": weight}
    shared |= {"sil_score": 0.0, "log_add": True, "criterion_type": lib.CriterionType.CTC}
    if words:
        silence = names.index(SPACE)
        known = Dictionary()
        for word in words:
            known.add_entry(word)
        known.add_entry("<unk>")
        model = lib.KenLM(str(arpa), known)
        start = model.start(False)
        trie = lib.Trie(len(names), silence)
        for word in words:
            _, hope = model.score(start, known.get_index(word))
            trie.insert([names.index(letter) for letter in word] + [silence], known.get_index(word), hope)
        trie.smear(lib.SmearingMode.MAX)
        options = lib.LexiconDecoderOptions(**shared, word_score=bonus, unk_score=-math.inf)
        search = lib.LexiconDecoder(options, trie, model, silence, 0, known.get_index("<unk>"), [], False)
    else:
        model = lib.ZeroLM() if arpa is None else lib.KenLM(str(arpa), Dictionary(names))
        search = lib.LexiconFreeDecoder(lib.LexiconFreeDecoderOptions(**shared), model, 0, 0, [])

    def decode(log_probs: np.ndarray) -> str:
        x = np.ascontiguousarray(log_probs, np.float32)
        path = search.decode(x.ctypes.data, *x.shape)[0].tokens[1:-1]
        text = "".join(" " if letters[n - 1] == " " else letters[n - 1] for n, _ in groupby(path) if n > 0)
        return text.strip() if words else text  # a word of its lexicon ends with the space behind it

    return decode


def pyctcdecode(
    beam: int, letters: Sequence[str], arpa: Path | None = None, words: Sequence[str] | None = None, **weights: Any
) -> Decode:
    """pyctcdecode with what it leaves out by default."""
    logging.disable(logging.WARNING)
    from pyctcdecode import build_ctcdecoder

    made = build_ctcdecoder(["", *letters], None if arpa is None else str(arpa), words, **weights)
    logging.disable(logging.NOTSET)
    return lambda log_probs: made.decode(log_probs, beam_width=beam)
