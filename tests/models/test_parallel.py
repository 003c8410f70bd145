"""The general parallel network: two branches over any kind of input, or over two inputs, and every fusion."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import crnn
from crnn.bundle import Net
from crnn.errors import SettingsError
from crnn.layers import FUSIONS, mask
from crnn.models.parallel import Parallel
from crnn.types import InputSpec, Seq

SPECS = {
    "line": InputSpec("line", 1, (20,)),
    "picture": InputSpec("picture", 3, (13,)),
    "series": InputSpec("series", 6),
    "sound": InputSpec("sound", 1, (40,)),
    "film": InputSpec("film", 3, (17, 9)),
    "sentence": InputSpec("sentence", 1, vocabulary=50),
}
STRIDES = {"line": 4, "picture": 8, "series": 8, "sound": 8, "film": 1, "sentence": 1}
LENGTHS = [24, 9, 1, 17]


def inputs(spec: InputSpec, lengths: list[int] | None = None, behind: float = 7) -> Seq:
    steps = torch.tensor(lengths or LENGTHS)
    shape = (len(steps), int(steps.max()), spec.channels, *spec.space)
    x = torch.randint(50, shape) if spec.vocabulary else torch.randn(shape)
    inside = mask(steps, shape[1]).view(*shape[:2], *[1] * (len(shape) - 2))
    return Seq(torch.where(inside, x, behind).to(x.dtype), steps)


def net(spec: Any, **settings: Any) -> Net:
    small = {"channels": (4, 6, 8), "hidden": 5, "embedding": 7, "size": 9, "dropout": 0.0}
    return Net(Parallel(spec, Parallel.Settings(**{**small, **settings})), nn.Identity())


def one(seq: Seq, i: int) -> Seq:
    length = int(seq.lengths[i])
    return Seq(seq.x[i : i + 1, :length], seq.lengths[i : i + 1])


@pytest.mark.parametrize("kind", SPECS)
@torch.no_grad()
def test_any_kind_of_input_alone_and_in_a_batch(kind: str) -> None:
    made, seen = net(SPECS[kind]), inputs(SPECS[kind])
    made.train()(seen)
    y, lengths = made.eval()(seen).last
    (level,) = made.encoder.levels
    assert (level.stride, level.channels, level.space) == (STRIDES[kind], 20, ())
    assert lengths.tolist() == made.encoder.out_lengths(seen.lengths).tolist()
    assert lengths.tolist() == [max(1, n // level.stride) for n in LENGTHS] and y.shape[2] == 20
    for i, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(y[i : i + 1, :length], made(one(seen, i)).last.x, rtol=1e-5, atol=1e-5)
        assert not y[i, length:].any()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion(fusion: str) -> None:
    made = net(SPECS["series"], fusion=fusion).train()
    seen = inputs(SPECS["series"])
    y = made(seen).last.x
    wide = {"concat": 20, "concat_dense": 9, "concat_pointwise": 9, "bilinear": 9}
    assert y.shape[2] == made.encoder.levels[-1].channels == wide.get(fusion, 10)
    assert type(made.encoder.fusion) is FUSIONS[fusion]
    (y * torch.randn(y.shape)).sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_settings_know_every_fusion() -> None:
    assert set(get_args(get_type_hints(Parallel.Settings)["fusion"])) == set(FUSIONS)


@torch.no_grad()
def test_vectors_of_words_are_dropped_in_both_branches() -> None:
    encoder = net(SPECS["sentence"], dropout=0.6).train().encoder
    seen = inputs(SPECS["sentence"])
    for front in (encoder.convolution.front, encoder.recurrence.flat.front):
        assert not torch.equal(front(seen), front(seen)) and torch.equal(front.eval()(seen), front(seen))


@torch.no_grad()
def test_each_branch_alone_is_what_stands_side_by_side() -> None:
    made, seen = net(SPECS["picture"]).eval(), inputs(SPECS["picture"], behind=0)
    y, lengths = made(seen).last
    encoder = made.encoder
    convolution = encoder.project(encoder.convolution(seen)[0])
    recurrence, steps = encoder.recurrence(seen)
    assert torch.equal(steps, lengths)
    inside = mask(lengths, y.shape[1])[:, :, None]
    torch.testing.assert_close(y, torch.cat([convolution, recurrence], 2) * inside)


@torch.no_grad()
def test_the_recurrence_sees_the_plain_input_of_as_many_steps_as_the_convolutions_join() -> None:
    made = net(SPECS["series"], pool=(2, 3, 1), bidirectional=False).eval()
    seen = inputs(SPECS["series"], [24])
    before = made.encoder.recurrence(seen)[0]
    seen.x[:, 12:18] += 1
    after = made.encoder.recurrence(seen)[0]
    assert (before != after).any(2).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize(("first", "second"), [("picture", "series"), ("film", "sentence"), ("sound", "line")])
@torch.no_grad()
def test_two_inputs_of_one_sample(first: str, second: str) -> None:
    specs = {"seen": SPECS[first], "felt": SPECS[second]}
    made = net(specs)
    seen = {"felt": inputs(SPECS[second], [20, 33, 2, 9]), "seen": inputs(SPECS[first])}
    made.train()(seen)
    y, lengths = made.eval()(seen).last
    assert lengths.tolist() == made.encoder.out_lengths(seen["seen"].lengths).tolist(), "steps are the first's"
    for i, length in enumerate(lengths.tolist()):
        alone = made({name: one(part, i) for name, part in seen.items()}).last.x
        torch.testing.assert_close(y[i : i + 1, :length], alone, rtol=1e-5, atol=1e-5)
    changed = made(seen | {"felt": inputs(SPECS[second], [20, 33, 2, 9])}).last.x
    differs = (changed != y)[0].any(0)
    assert not differs[:10].any() and differs[10:].any(), "the second input goes into the recurrence only"


def test_a_recipe_with_two_inputs_learns_from_both(tmp_path: Path) -> None:
    """The label is the colour, in the picture, and whether it rises or falls, in the recording."""
    rng, rows = np.random.default_rng(0), ["image,sensor,label"]
    for i in range(16):
        red, rising = i % 2, i // 2 % 2
        x = np.full((8, 8, 3), (200, 20, 20) if red else (20, 20, 200), np.uint8)
        Image.fromarray(x + rng.integers(0, 20, x.shape).astype(np.uint8)).save(tmp_path / f"{i:02}.png")
        y = np.linspace(0, 1 if rising else -1, 20 + i)[:, None] + rng.normal(0, 0.02, (20 + i, 1))
        np.savetxt(tmp_path / f"{i:02}.csv", y)
        rows.append(f"{i:02}.png,{i:02}.csv,{'red' if red else 'blue'} {'up' if rising else 'down'}")
    (tmp_path / "table.csv").write_text("\n".join(rows) + "\n")
    quick = {"epochs": 25, "batch_size": 8, "warmup": 2, "learning_rate": 1e-2, "workers": 0, "threads": 1}
    recipe = {
        "task": {"name": "classify"},
        "inputs": {"image": {"name": "picture", "height": 8, "width": 8}, "sensor": {"name": "series"}},
        "encoder": {
            "name": "parallel",
            "channels": [4, 6],
            "blocks": 1,
            "hidden": 8,
            "fusion": "gated",
            "dropout": 0.0,
        },
        "data": {"train": str(tmp_path / "table.csv"), "valid": str(tmp_path / "table.csv")},
        "train": quick | {"precision": "float32", "device": "cpu", "augment": False},
    }
    crnn.fit(recipe, tmp_path / "run")
    read = crnn.load(tmp_path / "run", precision="float32")
    for i, image in enumerate(("blue", "red")):
        for j, sensor in enumerate(("down", "up")):
            sources = {"image": tmp_path / f"{i:02}.png", "sensor": tmp_path / f"{2 * j:02}.csv"}
            assert read(sources).value == f"{image} {sensor}"


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(SettingsError, match="kernel is 4; expected an odd number"):
        net(SPECS["series"], kernel=4)
