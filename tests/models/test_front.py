"""What comes before a network's first layer."""

from __future__ import annotations

import pytest
import torch

from crnn.models._front import Front
from crnn.types import InputSpec, Seq


def test_vectors_of_words_begin_small_so_that_what_is_learned_shows() -> None:
    torch.manual_seed(0)
    front = Front(InputSpec("sentence", 1, vocabulary=500), 64)
    assert front.words is not None
    assert float(front.words.weight.detach().std()) == pytest.approx(0.1, rel=0.05)
    y = front(Seq(torch.full((2, 3, 1), 7), torch.tensor([3, 1])))
    assert y.shape == (2, 3, 64) and y[1, 0].any() and not y[1, 1:].any()


def test_a_word_is_its_vector_and_the_mean_of_its_known_ends() -> None:
    front = Front(InputSpec("sentence", 3, vocabulary=9), 4)
    assert front.words is not None
    w = front.words.weight
    y = front(Seq(torch.tensor([[[2, 5, 7], [1, 0, 8], [3, 0, 0]]]), torch.tensor([3])))
    wanted = torch.stack([w[2] + (w[5] + w[7]) / 2, w[1] + w[8], w[3]])[None]
    torch.testing.assert_close(y, wanted)


def test_words_vectors_are_dropped_in_training_alone_and_numbers_never() -> None:
    words = Seq(torch.full((1, 200, 1), 7), torch.tensor([200]))
    front = Front(InputSpec("sentence", 1, vocabulary=9), 50, dropout=0.4)
    assert abs(float((front(words) == 0).float().mean()) - 0.4) < 0.03
    assert (front.eval()(words) != 0).all()
    numbers = Seq(torch.ones(1, 9, 2), torch.tensor([9]))
    assert Front(InputSpec("series", 2), 50, dropout=0.9)(numbers) is numbers.x
