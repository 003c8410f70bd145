"""Regions and words in one space, against loops over all of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from crnn.errors import ShapeError
from crnn.layers.alignment import SentenceReader, contrastive_loss, fit_of, ranking_loss

WORDS, SIZE = 11, 6


def test_a_word_is_read_by_the_equations_of_the_paper() -> None:
    reader = SentenceReader(WORDS, SIZE, embedding=5, hidden=4).eval()
    words = torch.randint(WORDS, (1, 7))
    e = torch.relu(reader.first(reader.vectors(words)))[0]
    ways = []
    for cell, steps in zip(reader.recurrent.layers, (range(7), reversed(range(7))), strict=True):
        h, found = torch.zeros(4), {}
        for t in steps:
            h = torch.relu(cell.input(e[t]) + cell.recurrent(h))
            found[t] = h
        ways.append(torch.stack([found[t] for t in range(7)]))
    torch.testing.assert_close(reader(words)[0], torch.relu(reader.last(ways[0] + ways[1])))


def test_padding_changes_no_word() -> None:
    reader = SentenceReader(WORDS, SIZE, embedding=5, hidden=4).eval()
    words, lengths = torch.randint(WORDS, (3, 7)), torch.tensor([7, 3, 1])
    filled = words.clone()
    filled[1, 3:], filled[2, 1:] = 10**6, -5
    y = reader(filled, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(y[row : row + 1, :length], reader(words[row : row + 1, :length]))
        assert not y[row, length:].any()


def test_a_fit_is_the_sum_of_each_words_best_region() -> None:
    regions, words = torch.randn(3, 5, SIZE), torch.randn(4, 6, SIZE)
    region_lengths, word_lengths = torch.tensor([5, 2, 1]), torch.tensor([6, 1, 3, 0])
    fits = fit_of(regions, words, region_lengths, word_lengths)
    for k in range(3):
        for m in range(4):
            expected = sum(
                max(float(regions[k, i] @ words[m, t]) for i in range(int(region_lengths[k])))
                for t in range(int(word_lengths[m]))
            )
            assert float(fits[k, m]) == pytest.approx(expected, abs=1e-5)


def test_a_soft_maximum_comes_near_the_hard_one_and_reaches_all_regions() -> None:
    regions, words = torch.randn(2, 5, SIZE, requires_grad=True), torch.randn(3, 4, SIZE)
    lengths = torch.tensor([5, 3])
    hard = fit_of(regions, words, lengths)
    torch.testing.assert_close(fit_of(regions, words, lengths, soft=1e-3), hard, rtol=1e-2, atol=1e-2)
    expected = torch.logsumexp(words[2] @ regions[1, :3].T / 0.7, 1).sum() * 0.7
    soft = fit_of(regions, words, lengths, soft=0.7)
    torch.testing.assert_close(soft[1, 2], expected)
    soft.sum().backward()
    reached = regions.grad.abs().amax(2) > 0  # type: ignore[union-attr]
    assert reached[0].all() and reached[1].tolist() == [True] * 3 + [False] * 2


def test_padding_changes_no_fit() -> None:
    regions, words = torch.randn(2, 5, SIZE), torch.randn(2, 6, SIZE)
    lengths, counts = torch.tensor([3, 0]), torch.tensor([4, 2])
    plain = fit_of(regions, words, lengths, counts)
    regions[0, 3:], regions[1], words[0, 4:], words[1, 2:] = 99, float("nan"), 99, float("nan")
    torch.testing.assert_close(fit_of(regions, words, lengths, counts), plain)
    assert not plain[1].any(), "a picture without a region"
    torch.testing.assert_close(fit_of(regions[:1, :3], words[:1, :4])[0], plain[0, :1])


@pytest.mark.parametrize("hardest", [False, True])
def test_the_ranking_loss_is_that_of_loops(hardest: bool) -> None:
    fits, owner, margin = torch.randn(3, 5) * 2, torch.tensor([0, 0, 1, 2, 2]), 1.5
    alike = torch.zeros(3, 5, dtype=torch.bool)
    alike[1, 0] = True  # the first sentence is said of the second picture, too
    total = 0.0
    for m, k in enumerate(owner.tolist()):
        own = float(fits[k, m])
        pictures = [max(0.0, float(fits[i, m]) - own + margin) for i in range(3) if i != k and not alike[i, m]]
        sentences = [max(0.0, float(fits[k, j]) - own + margin) for j in range(5) if owner[j] != k and not alike[k, j]]
        total += max(pictures) + max(sentences) if hardest else sum(pictures) + sum(sentences)
    # another sentence of the same picture is no negative
    alike[owner, torch.arange(5)] = True
    same = alike | (torch.arange(3)[:, None] == owner)
    found = ranking_loss(fits, owner, margin=margin, alike=same, hardest=hardest)
    assert float(found) == pytest.approx(total / 5, rel=1e-5)
    torch.testing.assert_close(
        ranking_loss(fits, owner, margin=margin, alike=alike, hardest=hardest), found, msg="what is its own is alike"
    )


def test_the_contrastive_loss_is_that_of_loops() -> None:
    fits, owner = torch.randn(3, 5) * 2, torch.tensor([0, 0, 1, 2, 2])
    alike = torch.zeros(3, 5, dtype=torch.bool)
    alike[1, 0] = True  # the first sentence is said of the second picture, too
    total = 0.0
    for m, k in enumerate(owner.tolist()):
        own = float(fits[k, m])
        pictures = [float(fits[i, m]) for i in range(3) if i == k or not alike[i, m]]
        # another sentence of the same picture is no negative
        sentences = [float(fits[k, j]) for j in range(5) if j == m or (owner[j] != k and not alike[k, j])]
        total += sum(math.log(sum(map(math.exp, others))) - own for others in (pictures, sentences))
    assert float(contrastive_loss(fits, owner, alike=alike)) == pytest.approx(total / 5, rel=1e-5)


@pytest.mark.parametrize("loss_of", [ranking_loss, contrastive_loss])
def test_a_batch_of_one_picture_has_nothing_to_tell_apart(loss_of: Any) -> None:
    fits = torch.randn(1, 3, requires_grad=True)
    loss = loss_of(fits, torch.zeros(3, dtype=torch.long))
    loss.backward()
    assert float(loss.detach()) == 0 and not fits.grad.any()  # type: ignore[union-attr]


def test_what_does_not_fit_is_said() -> None:
    for loss_of in (ranking_loss, contrastive_loss):
        with pytest.raises(ShapeError, match="one for each sentence"):
            loss_of(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ShapeError, match="6 channels"):
        fit_of(torch.zeros(2, 3, 6), torch.zeros(2, 3, 5))
    with pytest.raises(ShapeError, match="words has 3 axes"):
        SentenceReader(WORDS, SIZE, embedding=5, hidden=4)(torch.zeros(1, 2, 3, dtype=torch.long))
