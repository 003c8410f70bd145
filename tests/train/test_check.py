"""The check before training: each thing that can be wrong with lines is found and named with its file, and a set
without faults gives no alarm."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from crnn.bundle import build
from crnn.data.inputs.line import Line
from crnn.errors import DataError, SettingsError
from crnn.findings import Finding
from crnn.recipe import DataSettings, Recipe
from crnn.tasks import TASKS
from crnn.tasks._texts.doubts import ALIKE
from crnn.text import Alphabet
from crnn.train.check import LEAK, Checked, check
from crnn.types import Sample

ENCODER = {"name": "crnn", "channels": [4, 4, 4, 4], "blocks": [0, 0, 0, 0], "hidden": 8, "stride": 8}
PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Page imageFilename="{0}.png"
imageWidth="900" imageHeight="{2}"><TextRegion id="r"><Coords points="0,0 900,0 900,{2} 0,{2}"/>{1}</TextRegion>
</Page></PcGts>"""
PAGE_LINE = """<TextLine id="l{0}"><Coords points="0,{1} {3},{1} {3},{2} 0,{2}"/><TextEquiv><Unicode>{4}</Unicode>
</TextEquiv></TextLine>"""


def draw(text: str, height: int = 32, seed: int = 0) -> Image.Image:
    """Dark signs on light paper, 24 columns for each letter."""
    rng = np.random.default_rng([seed, *map(ord, text)])
    x = np.full((height, 24 * len(text) + 24), 225, dtype=np.uint8)
    for i, letter in enumerate(text):
        if letter != " ":
            for top in rng.integers(3, height - 7, size=4):
                x[top : top + 3, 24 * i + 14 : 24 * i + 32] = 40
    return Image.fromarray(x)


def texts(count: int, seed: int = 0) -> list[str]:
    """Made lines of very different lengths, all different, of eight letters."""
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("abcdefgh"), rng.integers(4, 24))) + f"{'abcdefgh'[i % 8]}" for i in range(count)]


class Lines:
    """A folder with a table of lines that a test can spoil: train 0 to 39, valid 40 to 49, test 50 to 59."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, Any]] = []
        for i, text in enumerate(texts(60)):
            self.add(text, "train" if i < 40 else "valid" if i < 50 else "test")

    def add(self, text: str, split: str | None = "train", picture: Image.Image | None = None, **row: Any) -> int:
        name = f"{len(self.rows):02}.png"
        (picture or draw(text, seed=len(self.rows))).save(self.folder / name)
        self.rows.append({"image": name, "text": text, "split": split, **row})
        return len(self.rows) - 1

    def path(self, place: int) -> Path:
        return self.folder / self.rows[place]["image"]

    def picture(self, place: int) -> Image.Image:
        with Image.open(self.path(place)) as picture:
            return picture.copy()

    def retext(self, place: int, text: str) -> None:
        """Another text, its picture drawn anew."""
        draw(text, seed=place).save(self.path(place))
        self.rows[place]["text"] = text

    def check(self, **recipe: Any) -> Checked:
        lines = [json.dumps(row, ensure_ascii=False) for row in self.rows]
        (self.folder / "lines.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return look(self.folder, **recipe)


def look(folder: Path, **recipe: Any) -> Checked:
    data = {"train": str(folder), **recipe.pop("data", {})}
    values: dict[str, Any] = {"input": {"name": "line", "height": 32}, "encoder": ENCODER, **recipe}
    return check(Recipe(data=DataSettings(**data), **values))


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    return Lines(tmp_path)


def of(checked: Checked, kind: str) -> list[Finding]:
    return [finding for finding in checked.findings if finding.kind == kind]


def kinds(checked: Checked, *severities: str) -> set[str]:
    return {finding.kind for finding in checked.findings if finding.severity in severities}


def only(checked: Checked, kind: str, severity: str, files: Sequence[str | None]) -> list[Finding]:
    """The findings of ``kind``; there must be no other error or warning."""
    found = of(checked, kind)
    assert [finding.file for finding in found] == list(files), checked.findings
    assert {finding.severity for finding in found} == {severity}
    assert kinds(checked, "error", "warning") - {kind} == set(), checked.findings
    assert all(finding.do.endswith(".") and not finding.sentence.endswith(".") for finding in checked.findings)
    return found


def test_a_clean_set_has_no_findings(lines: Lines) -> None:
    checked = lines.check()
    assert checked.findings == () and not checked.fails
    assert {k: v["samples"] for k, v in checked.summary["splits"].items()} == {"train": 40, "valid": 10, "test": 10}
    train = checked.summary["splits"]["train"]
    lengths = sorted(len(row["text"]) for row in lines.rows[:40])
    assert train["usable"] == 40 and train["groups"] == 0 and train["letters"] == sum(lengths)
    assert train["columns"][::2] == (24 * lengths[0] + 24, 24 * lengths[-1] + 24)
    assert train["letters a text"] == pytest.approx((lengths[19] + lengths[20]) / 2)
    assert 2.5 < train["steps a letter"] < 3.5
    assert checked.summary["letters of the alphabet"] == 8


def test_progress_counts_all_samples(lines: Lines) -> None:
    calls: list[tuple[int, int]] = []
    lines.check()
    data = DataSettings(train=str(lines.folder))
    check(Recipe(data=data, encoder=ENCODER), progress=lambda done, of: calls.append((done, of)))
    assert calls[-1] == (60, 60) and [done for done, _ in calls] == sorted(done for done, _ in calls)


# pictures


def spoil(kind: str, path: Path) -> None:
    data = path.read_bytes()
    noise = np.random.default_rng(0).integers(0, 255, (200, 200), dtype=np.uint8)
    {
        "empty": lambda: path.write_bytes(b""),
        "text": lambda: path.write_bytes(b"no picture at all"),
        "cut": lambda: (Image.fromarray(noise).save(path), path.write_bytes(path.read_bytes()[:9000])),
        "huge": lambda: path.write_bytes(data[:16] + b"\x00\x00\xff\xff\x00\x00\xff\xff" + data[24:]),
    }[kind]()


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "huge"])
def test_unreadable_pictures(lines: Lines, kind: str) -> None:
    spoil(kind, lines.path(7))
    checked = lines.check()
    (found,) = only(checked, "unreadable", "error", ["07.png"])
    with pytest.raises(DataError) as raised:
        Line().decode(lines.path(7))
    assert (found.sentence, found.do, found.split) == (raised.value.given, raised.value.do, "train")
    assert not checked.fails and checked.summary["splits"]["train"]["usable"] == 39


def test_inverted_lines(lines: Lines) -> None:
    for i in (3, 45):
        ImageOps.invert(lines.picture(i)).save(lines.path(i))
    checked = lines.check()
    only(checked, "light ink on dark paper", "note", ["03.png", "45.png"])
    settings = {"name": "line", "height": 32, "polarity": "dark"}
    only(lines.check(input=settings), "light ink, against the setting", "warning", ["03.png", "45.png"])
    found = of(lines.check(input={**settings, "polarity": "light"}), "dark ink, against the setting")
    assert len(found) == 58


@pytest.mark.parametrize("contrast", [60, 120, 200])
@pytest.mark.parametrize("text", ["a", "abcd", "abcdefghabcdefgh"])
def test_polarity_of_synthetic_lines(tmp_path: Path, text: str, contrast: int) -> None:
    for seed in range(8):
        x = 250 - (np.asarray(draw(text, seed=seed)) < 128) * np.uint8(contrast)
        for inverted in (False, True):
            Image.fromarray(255 - x if inverted else x).save(tmp_path / "a.png")
            kinds = [finding.kind for finding in Line().look(tmp_path / "a.png").findings]
            assert kinds == (["light ink on dark paper"] if inverted else [])


def test_a_negative_is_the_same_line(tmp_path: Path) -> None:
    draw("abc", height=64).save(tmp_path / "a.png")
    ImageOps.invert(draw("abc", height=64)).save(tmp_path / "b.png")
    draw("abd", height=64).save(tmp_path / "c.png")
    a, b, c = (Line().look(tmp_path / f"{name}.png").digest for name in "abc")
    assert a == b != c


def test_blank_pictures(lines: Lines) -> None:
    size = lines.picture(5).size
    grain = np.random.default_rng(0).normal(200, 3, size[::-1])
    Image.fromarray(grain.astype(np.uint8)).save(lines.path(5))
    Image.new("L", lines.picture(6).size, 0).save(lines.path(6))
    only(lines.check(), "nearly blank", "warning", ["05.png", "06.png"])


def test_one_pixel_wide_pictures(lines: Lines) -> None:
    Image.new("L", (1, 32), 225).save(lines.path(9))
    checked = lines.check()
    assert [f.file for f in of(checked, "tiny picture")] == ["09.png"]
    (found,) = of(checked, "more text than time steps")
    assert found.file == "09.png" and found.severity == "error"


def test_pages(lines: Lines) -> None:
    page = Image.new("L", (900, 1200), 225)
    for i in range(20):
        page.paste(draw("abcdefgh" * 4), (20, 55 * i + 20))
    lines.add("ab", picture=page)
    only(lines.check(), "page instead of line", "warning", ["60.png"])


def test_doubles(lines: Lines) -> None:
    lines.add(lines.rows[2]["text"], picture=lines.picture(2))
    (found,) = only(lines.check(), "the same twice", "warning", ["60.png"])
    assert "02.png" in found.sentence


def test_doubles_of_other_bytes(lines: Lines) -> None:
    place = lines.add(lines.rows[2]["text"], "train", lines.picture(2))
    lines.picture(2).save(lines.folder / "copy.bmp")
    lines.rows[place]["image"] = "copy.bmp"
    only(lines.check(), "the same twice", "warning", ["copy.bmp"])


def test_doubles_with_two_texts(lines: Lines) -> None:
    lines.rows[2]["text"] = "abcdabcd"
    draw("abcdabcd", seed=2).save(lines.path(2))
    lines.add("abcdabce", picture=lines.picture(2))
    (found,) = only(lines.check(), "the same with two answers", "warning", ["60.png"])
    assert "'abcdabce'" in found.sentence and "'abcdabcd'" in found.sentence


def test_doubles_with_two_answers_that_are_no_plain_values(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((40, 16, 16)).astype(np.float32)
    frames[:12] = frames[0]
    np.save(tmp_path / "stuck.npy", frames)
    task = {"name": "nowcast", "past": 2, "future": 2}
    said = [f for f in check(Recipe(task=task, data=DataSettings(train=str(tmp_path / "stuck.npy")))).findings]
    doubles = [f.sentence for f in said if f.kind.startswith("the same")]
    assert any(sentence.endswith(", but another answer stands there") for sentence in doubles)
    assert any("another answer" not in sentence for sentence in doubles), "the same frames follow on most"


def test_doubles_in_two_splits(lines: Lines) -> None:
    lines.add(lines.rows[2]["text"], "test", lines.picture(2))
    lines.add(lines.rows[41]["text"], "test", lines.picture(41))
    first, second = only(lines.check(), LEAK, "warning", ["60.png", "61.png"])
    assert "02.png (train)" in first.sentence and "41.png (valid)" in second.sentence


def test_groups_in_two_splits(lines: Lines) -> None:
    for i, row in enumerate(lines.rows):
        row["group"] = f"w{i // 10}"
    lines.rows[55]["group"] = "w1"
    (found,) = only(lines.check(), "group in two splits", "warning", ["55.png"])
    assert "train (10) and test (1)" in found.sentence and "'w1'" in found.sentence


# texts


def test_empty_and_missing_texts(lines: Lines) -> None:
    lines.rows[1]["text"] = ""
    del lines.rows[2]["text"]
    found = only(lines.check(), "left out while reading", "error", [str(lines.folder / "lines.jsonl")] * 2)
    assert ["line 2" in found[0].sentence, "line 3" in found[1].sentence] == [True, True]


def test_pictures_without_texts(lines: Lines) -> None:
    for row in lines.rows:
        (lines.folder / row["image"]).with_suffix(".gt.txt").write_text(row["text"])
    lines.path(4).with_suffix(".gt.txt").unlink()
    only(look(lines.folder), "left out while reading", "error", [str(lines.path(4))])


def test_letters_seen_once(lines: Lines) -> None:
    lines.retext(8, "abcñdéfñ")
    found = only(lines.check(), "letters seen once", "note", ["08.png", "08.png"])
    assert "U+00E9 LATIN SMALL LETTER E WITH ACUTE" in found[0].sentence


def test_letters_that_train_lacks(lines: Lines) -> None:
    lines.retext(44, "abcñ")
    lines.retext(54, "abß")
    checked = lines.check()
    valid, test = of(checked, "letters that the training part lacks")
    assert (valid.file, valid.severity, valid.split) == ("44.png", "error", "valid") and "'ñ'" in valid.sentence
    assert (test.file, test.severity, test.split) == ("54.png", "warning", "test") and "'ß'" in test.sentence
    assert not checked.fails


def test_more_text_than_time_steps(lines: Lines) -> None:
    draw("abcd").save(lines.path(3))
    lines.rows[3]["text"] = "aabb" * 6
    (found,) = only(lines.check(), "more text than time steps", "error", ["03.png"])
    assert "15 time steps" in found.sentence and "needs 36" in found.sentence


def test_few_time_steps_a_letter(lines: Lines) -> None:
    for i in range(60):
        picture = lines.picture(i)
        picture.resize((picture.width * 2 // 5, 32)).save(lines.path(i))
    (found,) = only(lines.check(), "few time steps a letter", "warning", [None])
    assert "1.3 time steps" in found.sentence and "1.9 times" in found.do and "encoder.stride" in found.do


def test_many_time_steps_a_letter(lines: Lines) -> None:
    encoder = {**ENCODER, "stride": 4}
    only(lines.check(input={"name": "line", "height": 64}, encoder=encoder), "many time steps a letter", "note", [None])


def test_one_text_for_many(lines: Lines) -> None:
    for _ in range(70):
        lines.add("abcabcabc", "train")
    (found,) = only(lines.check(), "one text for many samples", "warning", ["60.png"])
    assert "'abcabcabc'" in found.sentence and "69 others" in found.sentence


SUSPICIOUS = {
    "surplus spaces": ("note", [" abcd", "abcd ", "ab  cd", "ab\tcd"]),
    "invisible signs": ("warning", ["ab\u200bcd", "\ufeffabcd", "ab\u00adcd", "ab\u0008cd", "ab\u200ecd"]),
    "damaged text": ("warning", ["ab\ufffdcd", "cafÃ©", "dâ€™or", "GrÃ¼ÃŸe", "Å›roda", "Ã\u00a0 la"]),
    "markup": ("warning", ["a &amp; b", "a&#39;b"]),
    "right-to-left letters": ("warning", ["abc שלום", "سلام"]),
    "letters of another script": ("warning", ["bаd", "hӓtte", "Аbend", "собaка", "Νorth"]),
    "texts not in NFC": ("note", [unicodedata.normalize("NFD", "déjà")]),
}


@pytest.mark.parametrize("kind, text", [(kind, text) for kind, (_, texts) in SUSPICIOUS.items() for text in texts])
def test_suspicious_texts(lines: Lines, kind: str, text: str) -> None:
    severity = SUSPICIOUS[kind][0]
    lines.retext(6, text)
    only(lines.check(), kind, severity, ["06.png"])


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Zürich, 4° C – «là-bas» & Söhne",
            "ÂGE, NÃO, São João",
            "XIX-го века",
            "собака",
            "ΔT = 5 μm",
            "kΩ",
            "α-Strahl",
        ),
        *(
            "l'été d’or — 50 % [sic] <b>",
            "می\u200cخواهم",
            "日本語の文",
            "„Ä“ «Â» l’Â… Å–Å",
            "ﬁn ſo ꝑ ꝗ",
            "𐌰𐌱𐌲",
            "e\u0331 ạ́",
        ),
    ],
)
def test_honest_texts(lines: Lines, text: str) -> None:
    for i in range(2):
        lines.retext(i, unicodedata.normalize("NFC", text))
    assert kinds(lines.check(), "error", "warning") <= {"right-to-left letters"}


def test_alike_letters_are_of_two_scripts() -> None:
    for letter, latin in ALIKE.items():
        assert not letter.isascii() and latin.isascii() and letter.isupper() == latin.isupper()


def test_two_signs_that_look_alike(lines: Lines) -> None:
    for i in range(1, 40):
        lines.retext(i, "a'b''c'd" * (1 + i % 3))
    lines.retext(0, "ab’cd")
    (found,) = of(lines.check(), "two signs that look alike")
    assert found.file == "00.png" and "U+2019" in found.sentence and found.severity == "note"


def test_several_spellings_without_normal_form(lines: Lines) -> None:
    lines.retext(6, unicodedata.normalize("NFD", "déjà"))
    task = {"name": "transcribe", "unicode": "none"}
    only(lines.check(task=task), "several spellings of a letter", "warning", ["06.png"])


def test_right_to_left_for_nothing(lines: Lines) -> None:
    pytest.importorskip("bidi")
    task = {"name": "transcribe", "direction": "rtl"}
    only(lines.check(task=task), "left-to-right letters", "warning", [None])


# texts and pictures together


def test_a_picture_of_another_length(lines: Lines) -> None:
    lines.rows[12]["text"] = "a"
    draw("abcdefghabcdefghabcd").save(lines.path(12))
    lines.rows[13]["text"] = "abcdefghabcdefgh"
    draw("abcdef").save(lines.path(13))
    found = only(lines.check(), "length does not fit the text", "warning", ["12.png", "13.png"])
    assert "10.5 times" in found[0].sentence and "one letter" in found[0].sentence and "only 41 %" in found[1].sentence


@pytest.mark.parametrize("by, word", [(1, "after"), (-1, "before")])
def test_texts_moved_by_one(lines: Lines, by: int, word: str) -> None:
    own = [row["text"] for row in lines.rows]
    for i in range(40):
        lines.rows[i]["text"] = own[(i - by) % 40]
    checked = lines.check()
    found = of(checked, "texts moved by one")
    assert len(found) == 2 and found[0].file == "00.png" and all(word in f.sentence for f in found)


def test_texts_in_another_order(lines: Lines) -> None:
    own = [row["text"] for row in lines.rows[:40]]
    order = np.random.default_rng(3).permutation(40)
    for i in range(40):
        lines.rows[i]["text"] = own[order[i]]
    found = of(lines.check(), "texts of other samples")
    assert [(f.file, f.split, f.severity) for f in found] == [(None, "train", "warning")]


def test_lines_of_one_length_are_no_wrong_pairs(tmp_path: Path) -> None:
    lines = Lines(tmp_path)
    rng = np.random.default_rng(0)
    for i in range(60):
        text = "".join(rng.choice(list("abcdefgh"), 20 + i % 3))
        picture = draw(text, seed=i).resize((int(rng.integers(450, 560)), 32))
        picture.save(lines.path(i))
        lines.rows[i]["text"] = text
    assert lines.check().findings == ()


# whether training would fail


def test_nothing_there(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        checked = look(folder)
        assert checked.fails and str(folder) in checked.reasons[0]
        assert checked.findings[0].severity == "error"


def test_pictures_without_any_text(tmp_path: Path) -> None:
    draw("abc").save(tmp_path / "a.png")
    checked = look(tmp_path)
    assert checked.fails and "text" in checked.reasons[0]


def test_no_training_part(lines: Lines) -> None:
    for row in lines.rows:
        row["split"] = "test"
    checked = lines.check()
    assert checked.fails and "test" in checked.reasons[0]


def test_nothing_usable_in_train(lines: Lines) -> None:
    for i in range(40):
        lines.path(i).write_bytes(b"")
    checked = lines.check()
    assert checked.fails and "training part" in checked.reasons[0]
    assert len(of(checked, "unreadable")) == 40


def test_no_validation_possible(lines: Lines) -> None:
    for i in range(40, 50):
        lines.path(i).write_bytes(b"")
    checked = lines.check()
    assert checked.fails and checked.reasons == ("the validation part holds no sample that can be used",)


def test_a_single_line(tmp_path: Path) -> None:
    draw("abc").save(tmp_path / "a.png")
    (tmp_path / "a.gt.txt").write_text("abc")
    assert look(tmp_path).reasons == ("the validation part holds no sample that can be used",)


def test_half_unusable_fails_and_fewer_do_not(lines: Lines) -> None:
    for i in range(25):
        lines.path(i).write_bytes(b"")
    assert not lines.check().fails
    lines.path(25).write_bytes(b"")
    assert lines.check().reasons == ("26 of 50 samples cannot be used, more than half",)


def test_what_reading_leaves_out_counts(lines: Lines) -> None:
    lines.rows += [{"image": "00.png", "text": ""}] * 51
    assert lines.check().reasons == ("51 of 101 samples cannot be used, more than half",)


def test_held_out_validation(lines: Lines) -> None:
    for i, row in enumerate(lines.rows):
        row["split"], row["group"] = None, f"w{i // 6}"
    checked = lines.check()
    (found,) = only(checked, "no validation part", "note", [None])
    assert "6 of 60" in found.sentence
    assert checked.summary["splits"]["valid"]["groups"] == 1
    for row in lines.rows:
        row["group"] = "w"
    assert "one group" in of(lines.check(), "no validation part")[0].sentence


def test_validation_of_another_folder(lines: Lines, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Lines(tmp_path_factory.mktemp("other"))
    other.check()
    for row in lines.rows:
        row["split"] = None
    checked = lines.check(data={"valid": str(other.folder)})
    assert checked.summary["splits"]["valid"]["samples"] == 10
    assert [f.split for f in of(checked, LEAK)] == ["valid"] * 10  # the same pictures under the same names


def test_settings_are_the_users_mistake(lines: Lines) -> None:
    with pytest.raises(SettingsError, match="hight"):
        lines.check(input={"name": "line", "hight": 64})
    with pytest.raises(SettingsError, match="no data"):
        check(Recipe())


def test_fine_tuning(lines: Lines) -> None:
    lines.retext(44, "abcñ")
    lines.check()
    task = TASKS["transcribe"].learn(TASKS["transcribe"].Settings(), [Sample("a", None, "ñabc")])
    start = build(task, {"name": "line", "height": 32}, ENCODER)
    checked = check(Recipe(data=DataSettings(train=str(lines.folder))), bundle=start)
    assert checked.findings == () and checked.summary["letters of the alphabet"] == 9


# lines of pages, and other makers of trouble


def test_lines_of_pages(tmp_path: Path) -> None:
    for page in range(3):
        picture, rows = Image.new("L", (900, 640), 225), []
        for i, text in enumerate(texts(16, seed=page)):
            picture.paste(draw(text, seed=page), (0, 40 * i))
            rows.append(PAGE_LINE.format(i, 40 * i, 40 * i + 31, 24 * len(text) + 23, text))
        picture.save(tmp_path / f"p{page}.png")
        (tmp_path / f"p{page}.xml").write_text(PAGE.format(f"p{page}", "".join(rows), 640), encoding="utf-8")
    checked = look(tmp_path)
    assert kinds(checked, "error", "warning") == set() and not checked.fails
    assert sum(split["samples"] for split in checked.summary["splits"].values()) == 48
    (tmp_path / "p1.png").write_bytes((tmp_path / "p1.png").read_bytes()[:2000])
    found = of(look(tmp_path), "unreadable")
    assert len(found) == 16 and all(f.file is not None and f.file.startswith("p1.xml#") for f in found)


def test_a_text_says_the_same_to_check_and_training(lines: Lines) -> None:
    """What is usable here is what training uses."""
    from crnn.train.prepare import prepare

    lines.retext(44, "abcñ")
    lines.rows[3]["text"] = "aabb" * 30
    lines.path(5).write_bytes(b"")
    checked = lines.check()
    prepared = prepare(
        Recipe(data=DataSettings(train=str(lines.folder)), input={"name": "line", "height": 32}, encoder=ENCODER)
    )
    usable = {split: figures["usable"] for split, figures in checked.summary["splits"].items()}
    assert (usable["train"], usable["valid"]) == (len(prepared.train.samples), len(prepared.valid.samples))


@pytest.mark.parametrize("read", [lambda x: None, lambda x: 7])
def test_texts_that_are_no_texts(read: Callable[[str], Any]) -> None:
    from crnn.findings import Seen
    from crnn.tasks.transcribe import Transcribe

    task = Transcribe(Transcribe.Settings(), Alphabet(("a",)))
    sample = Sample("a.png", None, read("a"))
    (found,) = task.doubts([Seen(sample, "train", 10, 5, task.problem(sample, 5))]).findings
    assert (found.kind, found.severity, found.file) == ("no text", "error", "a.png")
