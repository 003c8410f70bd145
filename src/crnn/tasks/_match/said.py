"""Phrases that are said of the regions of a sample: which of them are kept."""

from __future__ import annotations

import numpy as np
import torch

from crnn.decode.sentences import search
from crnn.layers.padding import mask
from crnn.tasks._match.answers import Said
from crnn.tasks._match.head import WHOLE, Looked, MatchHead
from crnn.tasks._match.rows import padded
from crnn.tasks._texts.vocabulary import UNKNOWN, Vocabulary


def phrases(head: MatchHead, looked: Looked, vocabulary: Vocabulary, *, longest: int, most: int) -> list[list[Said]]:
    """Of each sample what is said of the whole, and the ``most`` phrases that fit best; of up to ``longest`` words.

    Each region says a phrase. It is kept if, read again as a sentence is, it fits no other region of the sample better.
    """
    decoder, (regions, counts) = head.decoder, looked.regions
    assert decoder is not None
    inside = mask(counts, regions.shape[1])
    found = search(decoder.step, decoder.look(looked.shown[inside]), longest=longest, never=(UNKNOWN,))
    every = [row[0] for row in found]
    texts = sorted({s.words for s in every if s.words})
    number = {words: i for i, words in enumerate(texts)}
    spoken = {words for words in texts if any(map(str.isalnum, vocabulary.decode(words)))}  # more than a full stop
    words, lengths = padded(texts or [(UNKNOWN,)], regions.device)
    read = head.read(words, lengths)
    kept: list[list[Said]] = []
    start = 0
    for i, count in enumerate(counts.tolist()):
        whole, *said = every[start : start + count]
        start += count
        own = sorted({number[s.words] for s in said if s.words in spoken})
        # the mean over its words, so that long ones are not the best
        fits = torch.einsum("ptc,rc->pr", read[own], regions[i, 1:count]) / lengths[own, None]
        best, region = (t.tolist() for t in fits.max(1)) if own else ([], [])
        true = [(fit, r, p) for fit, r, p in zip(best, region, own, strict=True) if said[r].words == texts[p]]
        true.sort(key=lambda row: (-row[0], row[1]))
        rows = [Said(vocabulary.decode(texts[p]), r + 1, float(np.exp(said[r].mean))) for _, r, p in true]
        first = Said(vocabulary.decode(whole.words), WHOLE, float(np.exp(whole.mean)))
        kept.append([first, *rows[:most]])
    return kept
