"""text_rcnn: the paper's count and formula, contexts that end before their word, and no sentence sees another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from crnn.bundle import Net
from crnn.models.text_rcnn import TextRCNN
from crnn.types import InputSpec, Seq

SPEC = InputSpec("sentence", 1, vocabulary=30)
LENGTHS = [7, 1, 12, 2]


def net(**values: Any) -> Net:
    small = {**TextRCNN.tiny, "dropout": 0.0, **values}
    return Net(TextRCNN(SPEC, TextRCNN.Settings(**small)), nn.Identity()).eval()


def sentences(lengths: list[int], behind: int = 29) -> Seq:
    x = torch.full((len(lengths), max(lengths), 1), behind)
    for row, length in zip(x, lengths, strict=True):
        row[:length] = torch.randint(1, 29, (length, 1))
    return Seq(x, torch.tensor(lengths))


def test_parameters_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        encoder = TextRCNN(SPEC)
    vectors = sum(p.numel() for p in encoder.front.parameters())
    assert vectors == 30 * 50
    assert sum(p.numel() for p in encoder.parameters()) - vectors == 25_200


@torch.no_grad()
def test_it_is_the_formula_of_the_paper() -> None:
    made = net().double()
    encoder = made.encoder
    seen = sentences(LENGTHS)
    y = made(seen).last.x

    def step(cell: Any, context: Tensor, word: Tensor) -> Tensor:
        return torch.tanh(cell.recurrent.weight @ context + cell.input.weight @ word)

    for found, numbers, n in zip(y, seen.x, LENGTHS, strict=True):
        words = encoder.front.words.weight[numbers[:n, 0]]
        left, right = [encoder.left_start], [encoder.right_start]
        for i in range(1, n):
            left.append(step(encoder.left, left[-1], words[i - 1]))
            right.insert(0, step(encoder.right, right[0], words[n - i]))
        for i in range(n):
            both = torch.cat([left[i], words[i], right[i]])
            torch.testing.assert_close(found[i], torch.tanh(encoder.dense(both)), rtol=1e-9, atol=1e-9)
        assert not found[n:].any()


def test_a_context_holds_nothing_of_its_word() -> None:
    encoder = net().encoder
    size, room = TextRCNN.tiny["context"], TextRCNN.tiny["embedding"]
    given: list[Tensor] = []
    encoder.dense.register_forward_pre_hook(lambda module, args: given.append(args[0]))
    seen = sentences([8])
    encoder(seen)
    seen.x[0, 3] = (seen.x[0, 3] + 1) % 29
    encoder(seen)
    changed = given[0] != given[1]
    left, word, right = changed[0].split([size, room, size], 1)
    assert left.any(1).tolist() == [False] * 4 + [True] * 4
    assert word.any(1).tolist() == [i == 3 for i in range(8)]
    assert right.any(1).tolist() == [True] * 3 + [False] * 5


def test_alone_equals_in_a_batch(drawn: Callable[..., Seq], check_alone: Callable[..., list[int]]) -> None:
    assert check_alone(net().encoder, drawn(SPEC, LENGTHS)) == LENGTHS


def test_the_starts_are_learned() -> None:
    made = net()
    made(sentences([1, 3])).last.x.square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
