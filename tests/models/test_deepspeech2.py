"""deepspeech2: the count of the open program, directions that are added, streams of any pieces."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from crnn.errors import SettingsError
from crnn.models._wave import Wave, gabor
from crnn.models.deepspeech2 import DeepSpeech2
from crnn.types import InputSpec, Seq

PAPER: dict[str, Any] = {"kernels": ((11, 41), (11, 21)), "strides": ((2, 2), (1, 2))}


def small(bands: int = 12, **values: Any) -> DeepSpeech2:
    sizes = {"channels": (3, 4), "kernels": ((5, 5), (3, 3)), "hidden": 5, "layers": 2, "lookahead": 3}
    return DeepSpeech2(InputSpec("sound", 1, (bands,)), DeepSpeech2.Settings(**{**sizes, **values})).eval()


def whole(x: Tensor) -> Seq:
    return Seq(x, torch.full((len(x),), x.shape[1]))


def wake(encoder: DeepSpeech2) -> DeepSpeech2:
    """Statistics as after training."""
    with torch.no_grad():
        encoder.train()(whole(torch.randn(4, 30, 1, 12)))
    return encoder.eval()


def test_parameters_are_those_of_the_open_program() -> None:
    """deepspeech.pytorch with 7 GRUs of 768 and 73 outputs: "around 52 million" (its issue 608). By hand: 32 x 11 x 41,
    32 x 32 x 11 x 21, two norms of 2 x 32; 2 x 3 x 768 x (1312 + 768 + 2), six times 2 x 3 x 768 x (768 + 768 + 2),
    seven norms of 2 x 768, and there 73 outputs without bias and convolutions with."""
    encoder = DeepSpeech2(InputSpec("sound", 1, (161,)), DeepSpeech2.Settings(**PAPER, hidden=768, layers=7))
    found = sum(p.numel() for p in encoder.parameters())
    assert found + 768 * 73 + 2 * 32 == 52_434_464
    assert encoder.recurrent[0].inputs == 32 * 41


def test_the_paper_s_largest_network_has_three_convolutions() -> None:
    kernels, strides = ((11, 41), (11, 21), (11, 21)), ((2, 2), (1, 2), (1, 2))
    with torch.device("meta"):
        encoder = DeepSpeech2(
            InputSpec("sound", 1, (161,)),
            DeepSpeech2.Settings(channels=(32, 32, 96), kernels=kernels, strides=strides, hidden=1280, layers=7),
        )
    assert encoder.recurrent[0].inputs == 96 * 21
    assert encoder.out_lengths(torch.tensor([1, 2, 300])).tolist() == [1, 1, 150]


@torch.no_grad()
def test_the_directions_are_added_and_norms_stand_between() -> None:
    encoder, seen, given = wake(small()), [], []
    encoder.recurrent[0].register_forward_hook(lambda module, given, result: seen.append(result[0]))
    encoder.recurrent[1].register_forward_hook(lambda module, x, result: given.append(x[0]))
    encoder(whole(torch.randn(1, 20, 1, 12)))
    added = seen[0][..., :5] + seen[0][..., 5:]
    torch.testing.assert_close(given[0], encoder.norms[0](added.transpose(1, 2)).transpose(1, 2))


@torch.no_grad()
@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_relu_is_cut_off_at_20(bidirectional: bool) -> None:
    encoder, seen = wake(small(bidirectional=bidirectional)), []
    encoder.convolutions[0].norm.weight.fill_(500.0)
    encoder.convolutions[0].register_forward_hook(lambda module, given, result: seen.append(result[0]))
    encoder(whole(torch.randn(1, 20, 1, 12)))
    assert seen[0].min() == 0 and seen[0].max() == 20


@pytest.mark.parametrize("values", [{}, {"bidirectional": False}, {"bidirectional": False, "lookahead": 0}])
def test_alone_equals_in_a_batch(
    values: dict[str, Any], drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]
) -> None:
    assert check_alone(small(**values), drawn(InputSpec("sound", 1, (12,)), [25, 1, 9, 2])) == [13, 1, 5, 1]


@pytest.mark.parametrize("values", [{"bidirectional": False}, {"bidirectional": False, "cell": "lstm", "bands": 7}])
def test_lengths_are_those_foretold(values: dict[str, Any], check_lengths: Callable[..., list[int]]) -> None:
    encoder = small(**values)
    check_lengths(encoder, InputSpec("sound", 1, (values.get("bands", 12),)), range(1, 20))


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
@pytest.mark.parametrize("lookahead", [0, 3, 30])
@pytest.mark.parametrize("strides", [((2, 2), (1, 2)), ((3, 1), (2, 2))])
@torch.no_grad()
def test_pieces_of_any_lengths_are_the_whole(cell: str, lookahead: int, strides: Any) -> None:
    encoder = wake(small(bidirectional=False, cell=cell, lookahead=lookahead, strides=strides))
    x = torch.randn(2, 31, 1, 12)
    state, found = encoder.begin(2), []
    for piece in x.split([1, 1, 0, 2, 13, 3, 11], dim=1):
        features = encoder(whole(piece), state)
        y, lengths = features.last
        assert lengths.tolist() == [y.shape[1]] * 2
        state = features.state
        found.append(y)
    found.append(encoder.finish(state).last.x)
    torch.testing.assert_close(torch.cat(found, dim=1), encoder(whole(x)).last.x, rtol=1e-5, atol=1e-6)


# a raw waveform


def raw(rate: float = 8000, **values: Any) -> DeepSpeech2:
    sizes = {"channels": (3, 4), "kernels": ((5, 5), (3, 3)), "hidden": 5, "layers": 2, "lookahead": 3, "filters": 12}
    return DeepSpeech2(InputSpec("sound", 1, (), rate), DeepSpeech2.Settings(**{**sizes, **values})).eval()


def test_filters_begin_as_mel_bands() -> None:
    """Each answers most to its own tone, evenly placed on the mel scale, and two neighbours meet where half of the
    power is left."""
    filters, rate, window = 40, 16_000, 400
    waves = gabor(window, filters, rate)
    assert waves.shape == (80, 400)
    torch.testing.assert_close(waves.norm(dim=1), torch.ones(80))
    hertz = torch.linspace(0, 8000, 1601, dtype=torch.float64)
    tones = torch.exp(2j * torch.pi * hertz[:, None] * torch.arange(window) / rate)
    power = ((tones @ waves.double().T.to(tones.dtype)).abs() ** 2).unflatten(1, (2, filters)).sum(1)
    mel = 2595 * torch.log10(1 + hertz[power.argmax(0)] / 700)
    step = (2595 * math.log10(1 + 8000 / 700) - 2595 * math.log10(1 + 60 / 700)) / 41
    # below 200 Hz a window of 25 milliseconds is shorter than the bells
    torch.testing.assert_close((mel[5:] - mel[4:-1]), torch.full((35,), step, dtype=torch.float64), rtol=0.15, atol=0)
    middle = (hertz[power.argmax(0)][20] + hertz[power.argmax(0)][21]) / 2
    at = power[(hertz - middle).abs().argmin(), 20] / power[:, 20].max()
    assert 0.4 < at < 0.6


@torch.no_grad()
def test_a_tone_lights_up_its_filter() -> None:
    front = Wave(8000, 20).eval()
    time = torch.arange(4000) / 8000
    seen = []
    for hertz in (200, 600, 1500, 3000):
        y, lengths, _ = front(torch.sin(2 * torch.pi * hertz * time)[None, :, None], torch.tensor([4000]))
        assert y.shape == (1, 50, 1, 20) and lengths.tolist() == [50]
        seen.append(int(y[0, 10:, 0].mean(0).argmax()))
    assert seen == sorted(set(seen)) and seen[0] < 4 and seen[-1] > 14


@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_waveform_alone_equals_in_a_batch(
    bidirectional: bool, drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]
) -> None:
    encoder = raw(bidirectional=bidirectional)
    assert encoder.levels[0].stride == 160, "20 milliseconds"
    lengths = [1600, 1, 801, 159, 161]
    assert check_alone(encoder, drawn(InputSpec("sound", 1), lengths)) == [10, 1, 6, 1, 2]


@torch.no_grad()
def test_pieces_of_a_waveform_are_the_whole() -> None:
    encoder, x = raw(bidirectional=False), torch.randn(2, 2000, 1)
    encoder.train()(whole(torch.randn(4, 3000, 1)))
    encoder.eval()
    state, found = encoder.begin(2), []
    for piece in x.split([1, 1, 0, 7, 81, 500, 3, 1400, 7], dim=1):
        features = encoder(whole(piece), state)
        state = features.state
        found.append(features.last.x)
    found.append(encoder.finish(state).last.x)
    torch.testing.assert_close(torch.cat(found, dim=1), encoder(whole(x)).last.x, rtol=1e-4, atol=1e-5)


def test_every_filter_is_learned() -> None:
    encoder = raw()
    encoder(whole(torch.randn(2, 4000, 1))).last.x.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in encoder.front.parameters())
    assert sum(p.numel() for p in encoder.front.parameters()) == 2 * 12 * 200 + 2 * 12


# one direction


def test_a_step_sees_what_the_lookahead_shows_and_nothing_after() -> None:
    encoder = wake(small(bidirectional=False, lookahead=2))
    x = torch.randn(1, 40, 1, 12, requires_grad=True)
    (gradient,) = torch.autograd.grad(encoder(whole(x)).last.x[0, 8].square().sum(), x)
    (frames,) = gradient[0, :, 0].abs().sum(1).nonzero(as_tuple=True)
    assert int(frames[-1]) == 2 * (8 + 2), "step t ends with frame 2 t"


def test_a_network_of_both_directions_does_not_stream() -> None:
    assert small(bidirectional=False).streams and not small().streams
    with pytest.raises(SettingsError, match=r"both directions.*encoder\.bidirectional=false"):
        small().begin()


def test_a_lookahead_belongs_to_one_direction() -> None:
    names = [name for name, _ in small().named_parameters()]
    assert not any("lookahead" in name for name in names)
    lookahead = small(bidirectional=False).lookahead
    assert lookahead is not None
    weight = lookahead.conv.weight
    assert (weight[..., 0] == 1).all() and weight[..., 1:].abs().max() < 0.1, "begins by handing on what it is given"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kernels": ((3, 3),)}, "kernels has 1 entries and encoder.channels 2"),
        ({"strides": ()}, "strides has 0 entries and encoder.channels 2"),
        ({"channels": (), "kernels": (), "strides": ()}, "one at least"),
        ({"kernels": ((3, 4), (3, 3))}, "kernel is 4.*kernel to 5"),
    ],
)
def test_settings_that_do_not_fit_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        small(**values)
