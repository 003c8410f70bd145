"""Decoders: word by word is the same as all words at once, and each is shown what its paper shows it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from crnn.errors import ShapeError
from crnn.layers.sentence_decoder import END, AttentiveDecoder, SentenceDecoder, ShownDecoder

WORDS, CHANNELS, SIZE, EMBEDDING = 11, 6, 9, 5
SHOWN: dict[str, dict[str, Any]] = {
    "mrnn": {"once": True},
    "lrcn_1u": {},
    "lrcn_2u": {"layers": 2},
    "lrcn_2f": {"layers": 2, "into": 1},
}
every_decoder = pytest.mark.parametrize("name", [*SHOWN, "lstm", "gru"])


def made(name: str, dropout: float = 0.0) -> SentenceDecoder:
    if name in SHOWN:
        return ShownDecoder(WORDS, CHANNELS, SIZE, embedding=EMBEDDING, dropout=dropout, **SHOWN[name])
    cell: Any = name
    return AttentiveDecoder(WORDS, CHANNELS, SIZE, regions=4, embedding=EMBEDDING, cell=cell, dropout=dropout)


def looked(decoder: Any, x: torch.Tensor, regions: torch.Tensor | None = None) -> Any:
    if isinstance(decoder, ShownDecoder):
        return decoder.look(x)
    return decoder.look(x, torch.rand(len(x), 7, 4) if regions is None else regions)


def words_of(batch: int, steps: int = 6) -> torch.Tensor:
    words = torch.randint(WORDS, (batch, steps))
    words[:, 0] = END
    return words


@every_decoder
def test_word_by_word_is_the_same_as_all_words_at_once(name: str) -> None:
    decoder = made(name)
    seen, words = looked(decoder, torch.rand(3, CHANNELS)), words_of(3)
    whole = decoder(words, seen)
    assert whole.shape == (3, 6, WORDS)
    for i in range(6):
        said = decoder.step(words[:, i], seen)
        seen = seen._replace(state=said.state)
        torch.testing.assert_close(said.logits, whole[:, i], rtol=1e-5, atol=1e-6)


@every_decoder
def test_rows_can_come_in_any_order_and_several_times(name: str) -> None:
    decoder = made(name)
    seen, words = looked(decoder, torch.rand(3, CHANNELS)), words_of(3)
    rows = torch.tensor([2, 0, 0, 1])
    torch.testing.assert_close(decoder(words[rows], seen.rows(rows)), decoder(words, seen)[rows])


@every_decoder
def test_what_is_said_first_depends_on_what_is_seen(name: str) -> None:
    decoder = made(name)
    x = torch.rand(2, CHANNELS, requires_grad=True)
    decoder(words_of(2), looked(decoder, x))[:, 0].square().sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0


def test_the_multimodal_rnn_is_its_equation() -> None:
    decoder: Any = made("mrnn")
    (cell,) = decoder.cells
    x, words = torch.rand(2, CHANNELS), words_of(2, 3)
    to_word, to_picture = cell.input.weight.split([EMBEDDING, CHANNELS], 1)
    h = torch.zeros(2, SIZE)
    for t in range(3):
        z = decoder.vectors(words[:, t]) @ to_word.T + h @ cell.recurrent.weight.T + cell.input.bias
        h = torch.relu(z + x @ to_picture.T if t == 0 else z)
        expected = h @ decoder.output.weight.T + decoder.output.bias
        torch.testing.assert_close(decoder(words, decoder.look(x))[:, t], expected, rtol=1e-5, atol=1e-6)


def test_where_lrcn_is_shown_the_picture() -> None:
    inputs = {name: [cell.inputs for cell in made(name).cells] for name in SHOWN}  # type: ignore[union-attr]
    assert inputs == {
        "mrnn": [EMBEDDING + CHANNELS],
        "lrcn_1u": [EMBEDDING + CHANNELS],
        "lrcn_2u": [EMBEDDING + CHANNELS, SIZE],
        "lrcn_2f": [EMBEDDING, SIZE + CHANNELS],
    }
    # the first of the factored pair says the same of whatever is seen
    decoder: Any = made("lrcn_2f")
    words = words_of(1)
    states = [decoder.step(words[:, 0], decoder.look(torch.rand(1, CHANNELS))).state for _ in range(2)]
    assert torch.equal(states[0][1], states[1][1]) and not torch.equal(states[0][3], states[1][3])


def test_attention_adds_up_and_passes_over_what_is_not_there() -> None:
    decoder: Any = made("lstm")
    x, regions, lengths = torch.rand(2, CHANNELS), torch.rand(2, 7, 4), torch.tensor([7, 3])
    said = decoder.step(torch.tensor([END, END]), decoder.look(x, regions, lengths))
    torch.testing.assert_close(said.weights.sum(1), torch.ones(2))
    assert not said.weights[1, 3:].any()
    alone = decoder.step(torch.tensor([END]), decoder.look(x[1:], regions[1:, :3]))
    torch.testing.assert_close(alone.logits[0], said.logits[1])
    regions[1, 3:] = 99
    keys = [decoder.look(x, regions, own).fixed[1][1, :3] for own in (lengths, None)]
    torch.testing.assert_close(*keys)


@every_decoder
def test_drawing_its_own_words(name: str) -> None:
    decoder = made(name)
    seen, words = looked(decoder, torch.rand(4, CHANNELS)), words_of(4)
    torch.testing.assert_close(decoder.drawing(words, seen, 0.0), decoder(words, seen), rtol=1e-5, atol=1e-6)
    own = decoder.drawing(words, seen, 1.0)
    torch.testing.assert_close(own[:, 0], decoder(words, seen)[:, 0], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(own[:, 1:], decoder(words, seen)[:, 1:])


def test_shapes_that_do_not_fit_are_said() -> None:
    decoder: Any = made("lrcn_1u")
    with pytest.raises(ShapeError, match="channels"):
        decoder.look(torch.rand(2, CHANNELS + 1))
    with pytest.raises(ShapeError, match="words"):
        decoder(torch.zeros(3, dtype=torch.long), decoder.look(torch.rand(3, CHANNELS)))
