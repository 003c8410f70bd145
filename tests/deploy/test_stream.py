"""Listening: pieces of any sizes give the text of the file, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import crnn
from crnn.bundle import Bundle, build
from crnn.data.inputs.sound import Sound
from crnn.decode.ctc_greedy import greedy
from crnn.deploy._best_path import BestPath
from crnn.deploy.predict import Predictor
from crnn.deploy.stream import Stream
from crnn.errors import DataError, SettingsError
from crnn.types import Seq

soundfile = pytest.importorskip("soundfile")
RATE = 8000
Tiny = Callable[..., Bundle]
MODELS: dict[str, dict[str, Any]] = {
    "deepspeech2": {"bidirectional": False, "lookahead": 3},
    "tcn": {},
}


@pytest.fixture
def listener(tiny: Tiny, waken: Callable[..., Bundle]) -> Callable[..., Bundle]:
    """``listener(model)``: a network that says something, since its norms have heard sound."""

    def make(model: str = "deepspeech2", **encoder: Any) -> Bundle:
        return waken(tiny(model, "transcribe", "sound", **{**MODELS.get(model, {}), **encoder}), speech())

    return make


def speech(seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    """Tones that change ten times a second, and noise."""
    rng = np.random.default_rng(2)
    hertz = np.repeat(rng.uniform(150, 3000, round(seconds * 10)), rate // 10)
    x = 0.3 * np.sin(2 * np.pi * np.cumsum(hertz) / rate) + 0.02 * rng.standard_normal(len(hertz))
    return x.astype(np.float32)


def in_pieces(stream: Stream, x: np.ndarray, sizes: list[int]) -> list[str]:
    cuts = np.minimum(np.cumsum(sizes), len(x)).tolist()
    return [stream.push(piece) for piece in np.split(x, cuts)]


# the best path


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 40),
    st.integers(2, 5),
    st.integers(0, 2**31),
    st.lists(st.integers(0, 9), max_size=9),
    st.floats(0.1, 9),
)
def test_the_best_path_in_pieces_is_that_of_the_whole(
    time: int, outputs: int, seed: int, sizes: list[int], sharp: float
) -> None:
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((time, outputs)))
    log_probs = (noise * sharp).log_softmax(1).float().numpy()
    path, seen = BestPath(outputs), []
    for piece in np.split(log_probs, np.minimum(np.cumsum(sizes, dtype=int), time)):
        path.push(piece)
        seen.append(list(path.numbers))
    expected, found = greedy(log_probs, stride=2.0, width=2.0 * time), path.finish(stride=2.0, width=2.0 * time)
    assert (found.numbers, found.scores) == (expected.numbers, expected.scores)
    np.testing.assert_allclose(found.spans, expected.spans, rtol=0, atol=1e-9)
    assert found.score == pytest.approx(expected.score)
    assert all(list(found.numbers)[: len(one)] == one for one in seen), "letters that were said stay"


# the network


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sizes", [[], [1] * 300, [0, 4000, 0], [80] * 200, [777] * 30])
def test_the_text_is_that_of_the_file(model: str, sizes: list[int], listener: Any, tmp_path: Path) -> None:
    bundle, x = listener(model), speech()
    soundfile.write(tmp_path / "a.wav", x, RATE, subtype="FLOAT")
    stream = crnn.stream(bundle, rate=RATE)
    texts = in_pieces(stream, x, sizes)
    answer = stream.finish()
    bundle.save(tmp_path / "b.safetensors")
    whole = crnn.load(tmp_path / "b.safetensors", precision="float32")(tmp_path / "a.wav")
    assert len(whole.value) > 5, "it says something"
    assert answer.value == whole.value and answer.score == pytest.approx(whole.score, abs=1e-4)
    for found, expected in zip(answer.parts, whole.parts, strict=True):
        assert (found.value, found.start, found.stop) == (expected.value, expected.start, expected.stop)
        assert found.score == pytest.approx(expected.score, abs=1e-4)
    assert all(later.startswith(text) for text, later in zip(texts, [*texts[1:], answer.value], strict=True))
    assert stream.text == answer.value and stream.finish() is answer
    assert stream.seconds == 2.0 and not stream.findings


def test_a_sound_of_another_rate_in_whole_numbers(listener: Any, tmp_path: Path) -> None:
    bundle, x = listener(), (speech(rate=44100) * 32767).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", x, 44100)
    stream = crnn.stream(bundle, rate=44100)
    in_pieces(stream, x, [441] * 100)
    assert stream.finish().value == Predictor(bundle, precision="float32")(tmp_path / "a.wav").value


def test_a_waveform_is_heard_as_it_is(listener: Any) -> None:
    before, x = listener(), speech()
    kind = Sound(Sound.Settings(features="raw"), RATE, [0.0], [0.2])
    bundle = build(before.task, kind, {**before.encoder, "filters": 12})
    heard = Seq(torch.from_numpy(kind.finish(kind.decode(x)))[None], torch.tensor([len(x)]))
    with torch.no_grad():
        for _ in range(40):
            bundle.net.train()(heard)
        linear = bundle.net.eval().head.linear
        linear.bias.copy_(-(bundle.net.encoder(heard).last.x @ linear.weight.T).mean((0, 1)))
    stream = crnn.stream(bundle)
    in_pieces(stream, x, [1, 500, 3000, 80, 80])
    answer, whole = stream.finish(), Predictor(bundle, precision="float32")(x)
    assert len(answer.value) > 3 and answer.value == whole.value
    assert [part.start for part in answer.parts] == [part.start for part in whole.parts]


@pytest.mark.parametrize("beam", [0, 4])
def test_a_beam_reads_all_again_at_the_end(beam: int, listener: Any) -> None:
    bundle, x = listener(), speech()
    bundle.task = bundle.task.with_reading(replace(bundle.task.reading, beam=beam))
    stream = crnn.stream(bundle)
    in_pieces(stream, x, [800] * 20)
    assert bool(stream._said) == bool(beam), "kept only where it is read again"
    assert stream.finish().value == Predictor(bundle, precision="float32")(x).value


def test_one_network_hears_several_sounds_at_once(listener: Any) -> None:
    reader, x = Predictor(listener(), precision="float32"), speech()
    one, other = crnn.stream(reader), crnn.stream(reader)
    for piece in np.split(x, 10):
        one.push(piece)
        other.push(piece[::-1].copy())
    assert one.finish().value == reader(x).value
    assert other.bundle is one.bundle and other.finish().value != one.finish().value


# memory


def tensors_of(value: Any) -> int:
    """Numbers in all arrays that ``value`` holds."""
    if isinstance(value, Tensor | np.ndarray):
        return int(np.prod(value.shape))
    if isinstance(value, list | tuple):
        return sum(tensors_of(v) for v in value)
    return 0


@pytest.mark.parametrize("model", MODELS)
def test_a_long_sound_takes_no_more_memory_than_a_short_one(model: str, listener: Any) -> None:
    bundle = listener(model)
    with torch.no_grad():
        bundle.net.head.linear.bias[0] = 100.0  # a long silence: nothing to say, one run of blanks
    stream, kept = crnn.stream(bundle), set()
    for _ in range(30):
        stream.push(speech())
        pieces, path = stream.pieces, stream.path
        kept.add(tensors_of([stream.state, pieces._left, list(vars(path).values()), list(vars(stream).values())]))
    assert stream.seconds == 60 and len(kept) == 1, kept
    assert stream.text == "" and stream.path.steps > 2000


def test_an_hour_at_once_goes_through_the_network_in_blocks(listener: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, steps = listener(), []
    bundle.net.encoder.register_forward_hook(lambda module, given, result: steps.append(given[0].x.shape[1]))
    x = np.tile(speech(), 12)
    stream = crnn.stream(bundle)
    stream.push(x)
    stream.finish()
    assert max(steps) == 1000 and sum(steps) == stream.steps == 2398


# what cannot be heard


def test_what_is_no_sound_is_refused_and_the_stream_goes_on(listener: Any) -> None:
    bundle, x = listener(), speech()
    stream = crnn.stream(bundle)
    stream.push(x[:5000])
    for wrong in (np.array([np.nan]), np.zeros((10, 2), np.float32), np.zeros(5, np.int64)):
        with pytest.raises(DataError, match="one channel"):
            stream.push(wrong)
    stream.push(x[5000:])
    assert stream.finish().value == Predictor(bundle, precision="float32")(x).value
    with pytest.raises(SettingsError, match="has ended"):
        stream.push(x)


@pytest.mark.parametrize(
    ("x", "words"),
    [(np.zeros(4000, np.int16), "silent.*microphone"), (speech()[:100], "lasted 12 milliseconds"), ([], "lasted 0")],
)
def test_nothing_to_hear_is_said_at_the_end(x: Any, words: str, listener: Any) -> None:
    stream = crnn.stream(listener())
    stream.push(x)
    for _ in range(2):
        with pytest.raises(DataError, match=words):
            stream.finish()


def test_doubts_are_told(listener: Any) -> None:
    stream = crnn.stream(listener(), rate=4000)
    stream.push(np.full(4000, 32767, np.int16))
    assert [f.kind for f in stream.findings] == ["clipped", "lower rate"]


def test_a_file_in_several_views_may_be_read_otherwise(listener: Any) -> None:
    bundle = listener()
    bundle.kind = Sound(replace(bundle.kind.settings, views=2.0), RATE)
    assert [f.kind for f in crnn.stream(bundle).findings] == ["views"]


@pytest.mark.parametrize(
    ("model", "task", "kind", "words"),
    [
        ("cascade", "transcribe", "sound", r"cascade.*whole.*--model deepspeech2 --set encoder\.bidirectional=false"),
        ("deepspeech2", "transcribe", "sound", r"deepspeech2.*whole.*bidirectional=false"),
        ("tcn", "classify", "sound", "trained to classify.*transcribe"),
        ("crnn", "transcribe", "line", "kind 'line'.*sound"),
    ],
)
def test_a_network_that_cannot_listen_is_refused(model: str, task: str, kind: str, words: str, tiny: Tiny) -> None:
    with pytest.raises(SettingsError, match=words):
        crnn.stream(tiny(model, task, kind))


def test_a_scale_of_the_whole_sound_is_refused(listener: Any) -> None:
    bundle = listener()
    bundle.kind = type(bundle.kind)(replace(bundle.kind.settings, range=40.0), bundle.kind.rate)
    with pytest.raises(SettingsError, match=r"input\.range=0"):
        crnn.stream(bundle)
