"""What is odd about texts, and about texts and inputs together, seen before any training."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from crnn.findings import Doubts, Finding, Seen
from crnn.tasks._texts import pairing
from crnn.text import Alphabet, normalise

FEW_STEPS, MANY_STEPS = 1.5, 6.0  # time steps a letter: 2 to 3 read best, more cost time
ALIKE = dict(
    zip(
        "асеорхуѕіјһԛԝАВЕКМНОРСТХУЅІЈ" + "ονρυΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "aceopxysijhqwABEKMHOPCTXYSIJ" + "ovpuABEZHIKMNOPTYX",
        strict=True,
    )
)
"""Cyrillic and Greek letters that look like a Latin one."""
SIGNS = {"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "‐": "-", "‑": "-", "−": "-", "º": "°", "µ": "μ"}
"""Signs that look like another."""
MISREAD = re.compile(
    r"[ÂÃ][\x80-\xaa\xac-\xba\xbc-\xbf€ƒ†‡ˆ‰Š‹ŒŽ™š›œžŸ]|[ÄÅ][\x80-\xa9\xac-\xb8\xbc-\xbf†‡ˆ‰™›]|â€|\xe2\x80"
)
"""What the two or three bytes of a letter in UTF-8 look like in Latin-1 or Windows-1252."""
MARKUP = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#x?[0-9a-fA-F]+);")


def doubts(seen: Sequence[Seen], alphabet: Alphabet) -> Doubts:
    """What is odd about ``seen`` for a reader with ``alphabet``, which was learned from its split ``train``."""
    findings = [
        *_unusable(seen, alphabet),
        *_steps(seen, alphabet),
        *pairing.doubts([s for s in seen if s.usable], alphabet.clean),
        *_direction(seen, alphabet),
        *_repeated(seen, alphabet),
        *(finding for s in seen if isinstance(s.sample.y, str) for finding in _text(s, alphabet)),
        *_alike(seen, alphabet),
        *_single(seen, alphabet),
    ]
    return Doubts(tuple(findings), _figures(seen, alphabet), {"letters of the alphabet": len(alphabet)})


def _unusable(seen: Sequence[Seen], alphabet: Alphabet) -> Iterator[Finding]:
    """The task's own problems by kind. A test part is not learned from: there, unknown letters count as errors."""
    for s in seen:
        if s.problem is None:
            continue
        if not isinstance(s.sample.y, str) or not alphabet.clean(s.sample.y):
            kind = "no text"
        elif alphabet.missing(s.sample.y):
            kind = "letters that the training part lacks"
        else:
            kind = "more text than time steps"
        finding = Finding.of(s.problem, kind, file=s.sample.id, split=s.split)
        if s.split == "test" and kind != "no text":
            said = f"{s.problem.given}: it will count as read wrongly"
            finding = Finding("warning", kind, s.sample.id, said, finding.do, s.split)
        yield finding


def _steps(seen: Sequence[Seen], alphabet: Alphabet) -> Iterator[Finding]:
    """Whether the network has a sensible number of time steps for a letter."""
    rates = [s.steps / len(alphabet.clean(s.sample.y)) for s in seen if s.split == "train" and s.usable and s.steps]
    if not rates:
        return
    rate = median(rates)
    said = f"give the network {rate:.1f} time steps a letter (median); of lines, 2 to 3 read best"
    if rate < FEW_STEPS:
        do = f"Make input.height about {2.5 / rate:.1f} times as large, or encoder.stride smaller by as much."
        yield Finding("warning", "few time steps a letter", None, said, do)
    elif rate > MANY_STEPS:
        do = f"To train and read faster, make lines lower (input.height, by up to {rate / 3:.1f}) or steps longer."
        yield Finding("note", "many time steps a letter", None, said, do)


def _direction(seen: Sequence[Seen], alphabet: Alphabet) -> Iterator[Finding]:
    """Whether right-to-left was set for texts that know nothing of it."""
    if alphabet.direction == "rtl" and not any(_leftward(s.sample.y) for s in seen if isinstance(s.sample.y, str)):
        said = "have no letter that is written from right to left, where task.direction is rtl"
        yield Finding("warning", "left-to-right letters", None, said, "Set task.direction to ltr.")


def _leftward(text: str) -> list[str]:
    """The letters of ``text`` that are written from right to left."""
    return [] if text.isascii() else [c for c in text if unicodedata.bidirectional(c) in ("R", "AL")]


def _repeated(seen: Sequence[Seen], alphabet: Alphabet) -> Iterator[Finding]:
    """One text for very many samples: of a third of all, or of two in a hundred if it is a long one."""
    texts = [alphabet.clean(s.sample.y) for s in seen if isinstance(s.sample.y, str)]
    counts = Counter(text for text in texts if text)
    for text, count in counts.most_common(5):
        if count >= 20 and (count > len(texts) / 2 or (len(text) >= 10 and count > len(texts) / 50)):
            first = next(s for s in seen if isinstance(s.sample.y, str) and alphabet.clean(s.sample.y) == text)
            yield Finding(
                "warning",
                "one text for many samples",
                first.sample.id,
                f"has the text {text!r}, as have {count - 1} others of {len(texts)}",
                "Check that it is no placeholder, and that the right column or file is read.",
                first.split,
            )


def _text(s: Seen, alphabet: Alphabet) -> Iterator[Finding]:
    """What is suspicious in one text."""
    raw: str = s.sample.y
    text = alphabet.clean(raw)

    def finding(severity: str, kind: str, sentence: str, do: str) -> Finding:
        return Finding(severity, kind, s.sample.id, sentence, do, s.split)  # type: ignore[arg-type]

    hidden = sorted({c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cn") and not _joiner(c, text)})
    if hidden:
        said = f"has {', '.join(map(_name, hidden))}, which no picture shows ({text!r})"
        yield finding("warning", "invisible signs", said, "Take them out: each becomes a letter of the alphabet.")
    if "\ufffd" in text:
        do = "Export the texts again, as UTF-8."
        yield finding("warning", "damaged text", f"has a sign that stands for a lost letter ({text!r})", do)
    elif MISREAD.search(raw):
        said = f"seems to be UTF-8 that was read as Latin-1 ({text!r})"
        yield finding("warning", "damaged text", said, "Export the texts again, as UTF-8.")
    if MARKUP.search(text):
        said = f"has a letter written as HTML ({text!r})"
        yield finding("warning", "markup", said, "Export plain text.")
    if alphabet.direction == "ltr" and (leftward := _leftward(text)):
        said = f"has letters that are written from right to left ({_name(leftward[0])})"
        yield finding("warning", "right-to-left letters", said, "Set task.direction to rtl.")
    if alphabet.unicode == "none":
        if not unicodedata.is_normalized("NFC", text):
            said = f"has letters of several code points ({text!r})"
            yield finding("warning", "several spellings of a letter", said, "Set task.unicode to NFC.")
    elif normalise(raw, "none") != text:
        said = f"is not written in {alphabet.unicode} and is put into it ({text!r})"
        yield finding("note", f"texts not in {alphabet.unicode}", said, "Nothing needs to be done.")
    if raw != normalise(raw, "none"):
        said = f"has spaces at its ends, or several in a row, or a tab; they are read as one ({raw!r})"
        yield finding("note", "surplus spaces", said, "Nothing needs to be done.")


def _joiner(letter: str, text: str) -> bool:
    """Whether ``letter`` is a joiner where scripts need it (Persian, Indic): between letters that are not Latin."""
    return letter in "\u200c\u200d" and any(ord(c) >= 0x590 for c in text if c.isalpha())


def _alike(seen: Sequence[Seen], alphabet: Alphabet) -> Iterator[Finding]:
    """Letters of two scripts in a word that look the same, and signs that are hardly ever written another way."""
    texts = [(s, alphabet.clean(s.sample.y)) for s in seen if isinstance(s.sample.y, str)]
    for s, text in texts:
        for word in re.findall(r"[^\W\d_]+", text):
            if strange := _strange(word):
                yield Finding(
                    "warning",
                    "letters of another script",
                    s.sample.id,
                    f"has {', '.join(map(_name, strange))} in the word {word!r}",
                    "Write the letter that it looks like.",
                    s.split,
                )
                break
    counts = Counter(letter for _, text in texts for letter in text)
    for pair in SIGNS.items():
        rare, usual = sorted(pair, key=counts.__getitem__)
        if 0 < counts[rare] < 0.02 * counts[usual]:
            first = next(s for s, text in texts if rare in text)
            yield Finding(
                "note",
                "two signs that look alike",
                first.sample.id,
                f"has {_name(rare)} ({counts[rare]} times in all), where the others have {_name(usual)}",
                "Write one of them everywhere.",
                first.split,
            )


def _strange(word: str) -> list[str]:
    """The letters of ``word`` that belong to a script other than the rest of it and look as if they did not."""
    if word.isascii():
        return []
    scripts: dict[str, list[str]] = {}
    for letter in word:
        base = unicodedata.normalize("NFD", letter)[0]
        scripts.setdefault(unicodedata.name(base, "?").split()[0], []).append(letter)
    sides = {name: letters for name, letters in scripts.items() if name in ("LATIN", "CYRILLIC", "GREEK")}
    if len(sides) != 2 or "LATIN" not in sides:
        return []
    few = min(sides, key=lambda name: (len(sides[name]), name == "LATIN"))
    known = set(ALIKE.values()) if few == "LATIN" else set(ALIKE)
    return sides[few] if all(unicodedata.normalize("NFD", c)[0] in known for c in sides[few]) else []


def _single(seen: Sequence[Seen], alphabet: Alphabet) -> Iterator[Finding]:
    """Letters that only one sample of the training part has."""
    first: dict[str, Seen] = {}
    often: set[str] = set()
    for s in seen:
        if s.split == "train" and s.usable:
            letters = set(alphabet.clean(s.sample.y))
            often |= letters & first.keys()
            first |= dict.fromkeys(letters, s)
    for letter in sorted(first.keys() - often):
        said = f"is the only one of the training part with {_name(letter)}"
        do = "One example hardly teaches a letter: correct it if it is a slip, or add lines."
        yield Finding("note", "letters seen once", first[letter].sample.id, said, do, "train")


def _figures(seen: Sequence[Seen], alphabet: Alphabet) -> dict[str, dict[str, float]]:
    figures: dict[str, dict[str, float]] = {}
    for split in dict.fromkeys(s.split for s in seen):
        used = [(len(alphabet.clean(s.sample.y)), s.steps or 0) for s in seen if s.split == split and s.usable]
        if used:
            figures[split] = {
                "letters": sum(letters for letters, _ in used),
                "letters a text": float(median(letters for letters, _ in used)),
                "steps a letter": median(steps / letters for letters, steps in used),
            }
    return figures


def _name(letter: str) -> str:
    """A letter so that it can be told from those that look like it."""
    code = f"U+{ord(letter):04X} {unicodedata.name(letter, 'without a name')}"
    return f"{letter!r} ({code})" if letter.isprintable() and not unicodedata.combining(letter) else code


def diagnosis(pairs: Sequence[tuple[str, str]]) -> str | None:
    """Why a network that was trained writes such readings, ``(truth, reading)``, if it has plainly learned nothing."""
    read = {reading for _, reading in pairs}
    if not any(read):
        return (
            "the network writes nothing for any line (only blanks): pictures and texts may not belong together, "
            "ink and paper may be inverted, or the learning rate is too high"
        )
    if len(read) == 1 and len({truth for truth, _ in pairs}) > 1:
        return f"the network writes {read.pop()!r} for every line: pictures and texts may not belong together"
    return None
