"""``crnn predict BUNDLE - --live``: samples or a WAV on standard input, text on standard output."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crnn.bundle import Bundle, load
from crnn.cli import main
from crnn.cli.live import samples
from crnn.deploy.predict import Predictor
from crnn.errors import DataError, SettingsError

soundfile = pytest.importorskip("soundfile")
RATE = 8000


def speech(seconds: float = 1.5) -> np.ndarray:
    rng = np.random.default_rng(2)
    hertz = np.repeat(rng.uniform(150, 3000, round(seconds * 10)), RATE // 10)
    return (8000 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE) + rng.normal(0, 300, len(hertz))).astype("<i2")


def wav(x: np.ndarray, rate: int = RATE, **options: Any) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, x, rate, format="WAV", **options)
    return file.getvalue()


@pytest.fixture
def listener(tiny: Callable[..., Bundle], waken: Callable[..., Bundle], tmp_path: Path) -> Path:
    """A bundle that says something of what it hears."""
    fresh = tiny("deepspeech2", "transcribe", "sound", bidirectional=False, lookahead=3)
    made = waken(fresh, (speech() / 32768).astype(np.float32))
    made.save(tmp_path / "listener.safetensors")
    return tmp_path / "listener.safetensors"


@pytest.fixture
def live(
    listener: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """``live(bytes, *options)``: exit code, standard output and standard error of the command."""

    def run(given: bytes | io.RawIOBase, *options: str, source: str = "-") -> tuple[int, str, str]:
        raw = io.BytesIO(given) if isinstance(given, bytes) else given
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))  # type: ignore[type-var]
        with pytest.raises(SystemExit) as end:
            main(["predict", str(listener), source, "--live", *options])
        return (end.value.code or 0, *capsys.readouterr())  # type: ignore[return-value]

    return run


def test_a_test_tells_live_and_whole_side_by_side(
    listener: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds = [speech(), speech(0.7)]
    for i, x in enumerate(sounds):
        (tmp_path / f"{i}.wav").write_bytes(wav(x, rate=(RATE, 2 * RATE)[i]))
    letters = load(listener).task.alphabet.letters
    (tmp_path / "texts.csv").write_text(f"file,text\n0.wav,{letters[0] * 3}\n1.wav,{letters[-1]}\n", encoding="utf-8")
    options = [str(tmp_path / "texts.csv"), "--live", "--precision", "float32", "--json", str(tmp_path / "t.json")]
    with pytest.raises(SystemExit) as end:
        main(["test", str(listener), *options, "--html", str(tmp_path / "t.html"), "--explain", "0"])
    assert end.value.code in (0, None)
    found = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    whole, live = found["metrics"], found["baselines"]["heard live"]
    assert live["cer"] == whole["cer"] > 0 and live["wer"] == whole["wer"]
    assert 0 < whole["piece_ms"] <= whole["piece_ms_most"] and whole["real_time_factor"] > 0
    page = (tmp_path / "t.html").read_text(encoding="utf-8")
    assert "Real-time factor" in page and "heard live" in page
    printed = capsys.readouterr().out.partition("Compared with other answers")[2]
    columns, rate = (
        next(row for row in printed.splitlines() if name in row) for name in ("heard live", "Letter errors")
    )
    assert [cell.strip() for cell in columns.split("┃")[2:-1]] == ["this network", "heard live", "says nothing"]
    assert rate.count(f"{100 * whole['cer']:.2f} %") >= 2


def expected(listener: Path) -> str:
    text = Predictor(listener, precision="float32")((speech() / 32768).astype(np.float32)).value
    assert len(text) > 3
    return str(text)


def test_samples_of_the_networks_rate_become_the_text_of_the_file(live: Any, listener: Path) -> None:
    code, out, err = live(speech().tobytes())
    assert (code, out) == (0, expected(listener) + "\n")
    assert re.fullmatch(r"1\.5 seconds of sound, answered in [\d.]+ of that time; a piece took .* ms\n", err)


@pytest.mark.parametrize("options", [{}, {"subtype": "PCM_16"}])
def test_a_wav_says_its_rate(options: dict[str, Any], live: Any, listener: Path) -> None:
    assert live(wav(speech(), **options))[1] == expected(listener) + "\n"
    assert live(wav(speech()), "--rate", "8000")[1] == expected(listener) + "\n"
    assert "--rate is 16000 and the WAV has 8000" in live(wav(speech()), "--rate", "16000")[2]


def test_both_channels_are_heard(live: Any, listener: Path) -> None:
    assert live(wav(np.repeat(speech()[:, None], 2, axis=1)))[1] == expected(listener) + "\n"


def test_another_rate_is_told(live: Any, listener: Path) -> None:
    code, out, err = live(speech().repeat(2).tobytes(), "--rate", "16000")
    assert code == 0 and out.strip() and "1.5 seconds" in err
    assert "upper bands are empty" in live(speech()[::2].tobytes(), "--rate", "4000")[2]


def test_answers_as_json_csv_and_in_files(live: Any, listener: Path, tmp_path: Path) -> None:
    _, out, _ = live(speech().tobytes(), "--json")
    answer = json.loads(out)
    assert answer["text"] == expected(listener) and len(answer["letters"]) == len(answer["text"])
    assert 0 <= answer["letters"][0]["start"] < answer["letters"][-1]["stop"] <= 1.5
    assert expected(listener) in live(speech().tobytes(), "--csv")[1]
    assert live(speech().tobytes(), "--out", str(tmp_path / "a.txt"))[1] == ""
    assert (tmp_path / "a.txt").read_text() == expected(listener) + "\n"


class Slow(io.RawIOBase):
    """Bytes that arrive few at a time, and then an interruption."""

    def __init__(self, given: bytes, stopped: bool) -> None:
        self.given, self.stopped = [given[i : i + 777] for i in range(0, len(given), 777)], stopped

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.given and self.stopped:
            raise KeyboardInterrupt
        piece = self.given.pop(0) if self.given else b""
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("stopped", [True, False])
def test_the_text_grows_and_an_interruption_is_the_end(
    stopped: bool, live: Any, listener: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    real = sys.stdout.write
    monkeypatch.setattr(sys.stdout, "write", lambda text: [written.append(text), real(text)][1])
    code, out, _ = live(io.BufferedReader(Slow(speech().tobytes(), stopped)))
    assert (code, out) == (0, expected(listener) + "\n")
    assert sum(bool(text.strip()) for text in written) > 2, "not all at the end"


def test_a_beam_may_change_its_mind_at_the_end(live: Any, listener: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, text = type(load(listener).task), expected(listener)
    monkeypatch.setattr(task, "read", lambda self, id, *_, **__: task.written(self, id, _other()))
    _, out, _ = live(speech().tobytes(), "--beam", "3")
    heard, told = out.splitlines()
    # what is owed at the end, letters of the lookahead, stands in the last reading alone
    assert len(heard) > 2 and text.startswith(heard) and told == "a"


def _other() -> Any:
    from crnn.decode.ctc_greedy import Decoded

    return Decoded((1,), (0.5,), ((0.0, 1.0),), 0.5)


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (b"", [], "lasted 0 milliseconds"),
        (bytes(16000), [], "silent"),
        (b"fLaC" + bytes(100), [], "is a FLAC file.*ffmpeg"),
        (b"RIFF\x10\x00\x00\x00WAVE", [], "WAV without samples"),
        (wav(speech() / 32768, subtype="PCM_24"), [], "WAV of 24-bit samples.*ffmpeg"),
        (b"", ["--explain", "a.html"], "--live is given with --explain"),
    ],
)
def test_what_is_no_sound_is_named(given: bytes, options: list[str], words: str, live: Any) -> None:
    code, _, err = live(given, *options)
    assert code == 2 and re.search(words, err)


def test_options_that_need_another_are_named(live: Any, listener: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--live is given with 'a.wav'" in live(b"", source="a.wav")[2]
    with pytest.raises(SystemExit):
        main(["predict", str(listener), "a.wav", "--rate", "8000"])
    assert "--rate is given; expected --live" in capsys.readouterr().err


# headers


def heard(given: bytes, rate: int = 0) -> tuple[int, np.ndarray]:
    found, pieces = samples(io.BytesIO(given), rate)
    listed: list[Iterator[Any] | np.ndarray] = [np.zeros(0), *pieces]
    return found, np.concatenate(listed)  # type: ignore[arg-type]


def test_samples_may_be_cut_anywhere_and_a_half_one_is_dropped() -> None:
    x = speech()
    pieces = samples(io.BufferedReader(Slow(x.tobytes() + b"\x01", False)), 8000)[1]  # type: ignore[type-var]
    assert np.array_equal(np.concatenate(list(pieces)), x)


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_a_recorder_does_not_know_how_long_it_will_record(size: int) -> None:
    given = wav(speech())
    place = given.index(b"data") + 4
    given = given[:place] + size.to_bytes(4, "little") + given[place + 4 :]
    assert np.array_equal(heard(given)[1], speech())


def test_what_follows_the_samples_is_no_sound() -> None:
    rate, x = heard(wav(speech()) + b"LIST\x04\x00\x00\x00abcd")
    assert rate == RATE and np.array_equal(x, speech())


def test_wavs_of_other_samples_are_refused() -> None:
    with pytest.raises(DataError, match="format 3"):
        heard(wav((speech() / 32768).astype(np.float32), subtype="FLOAT"))
    with pytest.raises(SettingsError, match="expected one rate"):
        heard(wav(speech()), 44100)
