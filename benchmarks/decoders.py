"""Beam search for connectionist temporal classification: ours against what people use now, on the same outputs.

    python benchmarks/decoders.py --json results/decoders.json

In one run, on one thread, contestants taking turns, medians: 200 steps of 80 outputs, unsure ("smooth") and sure
("peaky") ones that say a sentence of made words, 25 and 100 prefixes. How many of 200 small cases (7 steps, 4 outputs)
end with the likeliest of all texts is counted beside it, trying every path. With language models, all contestants have
the same ARPA file, written by crnn, and weights that mean the same; then letters wrong in noisy sentences are counted.

Peers are timed where they are installed; none is a dependency of crnn:

    pip install --no-deps pyctcdecode pygtrie hypothesis sortedcontainers attrs fast-ctc-decode flashlight-text kenlm

Times are worth something on quiet cores only: the load of the machine at the beginning is written down with them.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import string
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import decoders_peers as peers
import numpy as np

from crnn.decode import arpa, ngram
from crnn.decode.ctc_beam import BeamSearch
from crnn.decode.fusion import LetterModel
from crnn.decode.lexicon import Lexicon
from crnn.decode.words import WordCount, WordModel
from crnn.metrics.text import score
from crnn.train.report import Result, write_json

LETTERS = (" ", *string.ascii_letters, *string.digits, *"!$%&()+,-./:;=?[")
STEPS, BEAMS, CASES = 200, (25, 100), 200
WEIGHT, BONUS = 0.5, 1.5  # of language models
Decode = Callable[[np.ndarray], str]


def sentences(random: np.random.Generator, count: int) -> list[str]:
    """Sentences of some 60 letters, of 1000 made words, few of them frequent."""
    sizes = random.integers(2, 9, 1000)
    words = ["".join(random.choice(list(string.ascii_lowercase), size)) for size in sizes]
    shares = 1 / np.arange(1, 1001)
    drawn = random.choice(1000, (count, 10), p=shares / shares.sum())
    return [" ".join(words[i] for i in row) for row in drawn]


def said(random: np.random.Generator, text: str, noise: float) -> np.ndarray:
    """Log-probabilities ``(STEPS, outputs)`` of a network that reads ``text``, the less sure the larger ``noise``."""
    x = random.normal(size=(STEPS, len(LETTERS) + 1)) * noise
    path = np.zeros(STEPS, int)
    places = np.sort(random.choice(STEPS // 2, len(text[: STEPS // 2]), replace=False)) * 2
    path[places] = [LETTERS.index(letter) + 1 for letter in text[: STEPS // 2]]
    x[np.arange(STEPS), path] += 6.5  # at noise 1, the likeliest output then has 0.80 on average
    return log_softmax(x)


def log_softmax(x: np.ndarray) -> np.ndarray:
    y = x - x.max(1, keepdims=True)
    return (y - np.log(np.exp(y).sum(1, keepdims=True))).astype(np.float32)


def ours(beam: int, letters: Sequence[str] = LETTERS, **settings: object) -> Decode:
    search = BeamSearch(beam, **settings)  # type: ignore[arg-type]
    return lambda log_probs: "".join(letters[n - 1] for n in search(log_probs)[0].numbers)


def contestants(beam: int, letters: Sequence[str]) -> dict[str, Decode]:
    """All that search without a language model."""
    found = {"crnn": ours(beam, letters), "crnn, all outputs": ours(beam, letters, least=0.0)}
    return found | peers.plain(beam, letters)


def with_models(beam: int, models: dict[str, ngram.NGram], folder: Path) -> dict[str, Decode]:
    """All that search with a language model of letters, or of words."""
    words = models["words"].tokens
    spelled, known = LetterModel(models["letters"], LETTERS), WordModel(models["words"], LETTERS)
    told = ((known, WEIGHT), (WordCount(LETTERS), BONUS))
    found = {
        "crnn, 5-gram of letters": ours(beam, scorers=((spelled, WEIGHT),)),
        "crnn, 3-gram of words": ours(beam, scorers=told),
        "crnn, lexicon, 3-gram of words": ours(beam, scorers=((Lexicon(words, LETTERS), 1.0), *told)),
    }
    return found | peers.with_models(beam, LETTERS, words, folder, WEIGHT, BONUS)


def exact_cases(sharp: float) -> dict[str, float]:
    """In how many of the small cases each finds the likeliest text."""
    random = np.random.default_rng(0)
    paths = np.array(list(itertools.product(range(4), repeat=7)))
    texts = ["".join("abc"[n - 1] for n, _ in itertools.groupby(path) if n) for path in paths.tolist()]
    names, text = np.unique(texts, return_inverse=True)
    decoders = contestants(1000, "abc")
    right = dict.fromkeys(decoders, 0.0)
    for _ in range(CASES):
        log_probs = log_softmax(random.normal(size=(7, 4)) * sharp)
        shares = np.bincount(text, np.exp(log_probs[np.arange(7), paths].sum(1, dtype=np.float64)))
        for name, decode in decoders.items():
            right[name] += decode(log_probs) == names[shares.argmax()]
    return right


def take_turns(decoders: dict[str, Decode], log_probs: np.ndarray, rounds: int) -> dict[str, float]:
    """Median milliseconds of each."""
    times: dict[str, list[float]] = {name: [] for name in decoders}
    for _ in range(rounds):
        for name, decode in decoders.items():
            start = time.perf_counter()
            decode(log_probs)
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(took) for name, took in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    random = np.random.default_rng(0)
    texts = sentences(random, 2010)
    learned, new = texts[:2000], texts[2000:]
    models = {"letters": ngram.train(learned, 5), "words": ngram.train([text.split() for text in learned], 3)}
    smooth = log_softmax(random.normal(size=(STEPS, len(LETTERS) + 1)) * 0.95)
    outputs = {"smooth": smooth, "peaky": said(random, new[0], 1.0)}
    for kind, log_probs in outputs.items():
        print(f"{kind}: the likeliest output has {np.exp(log_probs.max(1)).mean():.2f} on average")
    rows: dict[str, dict[str, float]] = {}

    def note(figure: str, values: dict[str, float]) -> None:
        for name, value in values.items():
            rows.setdefault(name, {})[figure] = value

    with tempfile.TemporaryDirectory() as name:
        for kind, model in models.items():
            arpa.write_arpa(model, Path(name) / f"{kind}.arpa")
        for beam in BEAMS:
            plain, told = contestants(beam, LETTERS), with_models(beam, models, Path(name))
            for kind, log_probs in outputs.items():
                decoders = plain | told if kind == "peaky" else plain
                take_turns({n: d for n, d in decoders.items() if n.startswith("crnn")}, log_probs, 1)  # builds tables
                note(f"beam{beam}_{kind}_ms", take_turns(decoders, log_probs, options.rounds))
        noisy = [said(random, text, 1.9) for text in new]
        decoders = contestants(BEAMS[0], LETTERS) | told
        pairs = {n: [(t, decode(x)) for t, x in zip(new, noisy, strict=True)] for n, decode in decoders.items()}
        note("cer_noisy", {n: score(read)["cer"] for n, read in pairs.items()})
    note("exact_cases", exact_cases(1.0))
    note("exact_cases_sharp", exact_cases(3.0))
    for name, figures in rows.items():
        print(f"{name:42}", "  ".join(f"{figure} {value:.3g}" for figure, value in figures.items()))
    own = rows["crnn"]
    metrics = {"beam100_ms": max(own["beam100_smooth_ms"], own["beam100_peaky_ms"]), **own, "load_average": load}
    print(f"load average {load:.1f}")
    if options.json:
        result = Result(
            name="decoders",
            task="decoders",
            model="crnn.decode",
            data="random numbers",
            split="none",
            metrics=metrics,
            baselines={name: figures for name, figures in rows.items() if name != "crnn"},
            command=f"python {os.path.relpath(sys.argv[0])} " + " ".join(sys.argv[1:]),
            seed=0,
            threads=1,
            precision="float64",
            parameters=0,
        )
        write_json(options.json, result)


if __name__ == "__main__":
    main()
