"""Regions and words in one space: a reader of sentences, how well a sentence fits a picture, and losses of these fits.

Source: Karpathy & Fei-Fei (2015, arXiv 1412.2306), equations 3 to 9.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crnn.errors import ShapeError
from crnn.layers._given import check_axes, check_lengths
from crnn.layers.padding import mask, zero_padding
from crnn.layers.recurrent import Recurrent
from crnn.layers.sentence_decoder import BEGIN, ReluCell


class SentenceReader(nn.Module):
    """A vector for each word of a sentence, made of the word and what stands around it::

        e_t = relu(W_e x_t + b_e)    s_t = relu(W_d (hf_t + hb_t) + b_d),  x_t the vector of the word
        hf_t = relu(W e_t + W_f hf_(t-1) + b_f), hb_t likewise from behind

    ``reader(words, lengths)`` takes numbers ``(batch, steps)`` below ``words`` and gives ``(batch, steps, size)``, zero
    in the padding. The recurrence maps ``e_t``, which the paper adds as it is. Raises ``ShapeError``.
    """

    def __init__(self, words: int, size: int, *, embedding: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.vectors = nn.Embedding(words, embedding)
        nn.init.normal_(self.vectors.weight, std=BEGIN)
        self.first = nn.Linear(embedding, hidden)
        self.recurrent = Recurrent(hidden, hidden, cell=ReluCell, bidirectional=True)
        self.last = nn.Linear(hidden, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, words: Tensor, lengths: Tensor | None = None) -> Tensor:
        check_axes("words", words, ("batch", "steps"))
        check_lengths(lengths, *words.shape)
        if lengths is not None:
            words = words.masked_fill(~mask(lengths, words.shape[1]), 0)  # what stands there may be no word
        e = torch.relu(self.first(self.dropout(self.vectors(words))))
        both, _ = self.recurrent(e, None, lengths)
        forward, backward = both.chunk(2, 2)
        return zero_padding(torch.relu(self.last(self.dropout(forward + backward))), lengths, axis=1)


def fit_of(
    regions: Tensor,
    words: Tensor,
    region_lengths: Tensor | None = None,
    word_lengths: Tensor | None = None,
    *,
    soft: float = 0.0,
) -> Tensor:
    """How well each sentence fits each picture: the sum over its words of the largest product with a region (equation
    8).

    ``regions`` ``(pictures, regions, size)`` and ``words`` ``(sentences, words, size)`` give ``(pictures, sentences)``.
    A picture without a region, or a sentence without a word, fits with 0. ``soft`` makes the largest product a soft
    one, ``soft * log(sum(exp(product / soft)))``, so that a gradient reaches all regions: the hard one leaves out a
    word that fits no region yet. Raises ``ShapeError``.
    """
    check_axes("regions", regions, ("pictures", "regions", "channels"))
    check_axes("words", words, ("sentences", "words", "channels"), regions.shape[2])
    check_lengths(region_lengths, *regions.shape[:2])
    check_lengths(word_lengths, *words.shape[:2])
    if not regions.shape[1]:
        return words.new_zeros(len(regions), len(words), dtype=torch.float32)
    with torch.autocast(regions.device.type, enabled=False):  # sums of many products that hardly differ
        # (pictures, regions, size) -> (pictures, sentences * words, regions): the last axis is fast to look along
        products = words.float().flatten(0, 1) @ regions.float().mT
    if region_lengths is not None and int(region_lengths.min()) < regions.shape[1]:
        outside = ~mask(region_lengths, regions.shape[1])[:, None]
        products = products.masked_fill(outside, torch.finfo(products.dtype).min)
    # the gradient of max goes to one place; that of amax is spread over all that are alike, and takes far longer
    largest = soft * torch.logsumexp(products / soft, 2) if soft else products.max(2).values
    best = largest.view(len(regions), *words.shape[:2])
    inside = torch.ones_like(best, dtype=torch.bool)
    if word_lengths is not None:
        inside = inside & mask(word_lengths, words.shape[1])
    if region_lengths is not None:
        inside = inside & (region_lengths > 0)[:, None, None]
    return torch.where(inside, best, best.new_zeros(())).sum(2)


def ranking_loss(
    fits: Tensor, owner: Tensor, *, margin: float = 1.0, alike: Tensor | None = None, hardest: bool = False
) -> Tensor:
    """How much worse than its own the pictures and sentences of a batch fit, to ``margin`` short (equation 9).

    Of ``fits`` ``(pictures, sentences)`` the picture ``owner`` ``(sentences,)`` belongs to each sentence. For each
    sentence the loss adds up ``max(0, fit of another - fit of the own + margin)`` over all other pictures, and over all
    sentences of other pictures; its mean over sentences is given. ``alike`` ``(pictures, sentences)`` marks what may
    fit as well and is no mistake, such as the same words of another picture; what belongs together is, always. With
    ``hardest`` the largest stands for the sum (Faghri et al. 2018, arXiv 1707.05612). Raises ``ShapeError``.
    """
    own, right = _own_and_right(fits, owner, alike)
    pictures = (fits - own + margin).clamp(min=0).masked_fill(right, 0)
    # each sentence's picture against all sentences -> (sentences, sentences)
    sentences = (fits[owner] - own[:, None] + margin).clamp(min=0).masked_fill(right[owner], 0)
    if hardest:
        return (pictures.amax(0) + sentences.amax(1)).mean()
    return (pictures.sum(0) + sentences.sum(1)).mean()


def contrastive_loss(fits: Tensor, owner: Tensor, *, alike: Tensor | None = None) -> Tensor:
    """How unlikely what belongs together is among the pictures and sentences of a batch, by a softmax of how well they
    fit: the cross-entropy of the own picture among all pictures, and of each sentence among itself and the sentences of
    other pictures (van den Oord et al. 2018, arXiv 1807.03748; Zhang et al. 2020, arXiv 2010.00747).

    Arguments, errors and what counts as no mistake are those of ``ranking_loss``. There is no temperature: vectors may
    be of any length.
    """
    own, right = _own_and_right(fits, owner, alike)
    nothing = torch.finfo(fits.dtype).min
    pictures = fits.masked_fill(right, nothing).logsumexp(0)
    sentences = fits[owner].masked_fill(right[owner], nothing).logsumexp(1)
    return (torch.logaddexp(pictures, own) + torch.logaddexp(sentences, own) - 2 * own).mean()


def _own_and_right(fits: Tensor, owner: Tensor, alike: Tensor | None) -> tuple[Tensor, Tensor]:
    """The fit of each sentence with its own picture, and which ``(pictures, sentences)`` are no mistake."""
    check_axes("fits", fits, ("pictures", "sentences"))
    if owner.shape != fits.shape[1:]:
        given = f"owner has the shape {tuple(owner.shape)}"
        raise ShapeError(given, expected=f"({fits.shape[1]},), one for each sentence", do="Name each one's picture.")
    columns = torch.arange(len(owner), device=fits.device)
    right = torch.zeros_like(fits, dtype=torch.bool)
    right[owner, columns] = True
    return fits[owner, columns], right if alike is None else right | alike
