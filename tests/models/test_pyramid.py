"""pyramid: the book's layers, steps one after the other, and what each variant may see."""

from __future__ import annotations

import pytest
import torch

from crnn.errors import SettingsError
from crnn.models.pyramid import AbstractionPyramid
from crnn.types import Features, InputSpec, Seq


def net(**settings: object) -> AbstractionPyramid:
    spec = InputSpec("scene", 1, (28, 28))
    return AbstractionPyramid(spec, AbstractionPyramid.Settings(**settings)).eval()  # type: ignore[arg-type]


def seen(model: AbstractionPyramid, x: torch.Tensor, state: object = None) -> Features:
    return model(Seq(x[:, None], torch.ones(len(x), dtype=torch.long)), state)


def test_layers_are_those_of_the_book() -> None:
    layers = net().pyramid.layers
    shapes = [tuple(layer.forward_in.weight.shape) for layer in layers[1:]]
    assert shapes == [(4, 3, 4, 4), (8, 4, 4, 4), (16, 8, 7, 7)], "between 7 x 7 and 1 x 1 all are linked"
    assert tuple(layers[2].backward_in.weight.shape) == (16, 8, 7, 7)
    assert [tuple(layer.lateral.weight.shape[:2]) for layer in layers] == [(3, 3), (4, 4), (8, 8), (16, 16)]
    features = seen(net(), torch.rand(2, 1, 28, 28))
    assert [tuple(a.shape[1:]) for a in features.state] == [(3, 28, 28), (4, 14, 14), (8, 7, 7), (16, 1, 1)]
    assert len(features.levels) == 12 and features.last.x.shape == (2, 1, 1, 28, 28)


def test_going_on_from_the_state_equals_more_steps() -> None:
    x = torch.rand(2, 1, 28, 28)
    short, long = net(steps=5), net(steps=10)
    long.load_state_dict(short.state_dict())
    first = seen(short, x)
    then = seen(short, x, first.state)
    for one, other in zip((*first.levels, *then.levels), seen(long, x).levels, strict=True):
        torch.testing.assert_close(one.x, other.x, rtol=0, atol=0)


def reach(model: AbstractionPyramid) -> int:
    """Pixels that the answer at the middle has a gradient from."""
    x = torch.rand(1, 1, 28, 28, requires_grad=True)
    seen(model, x).last.x[0, 0, 0, 14, 14].backward()
    assert x.grad is not None
    return int((x.grad != 0).sum())


def test_what_each_variant_sees() -> None:
    assert reach(net()) == 28 * 28 and reach(net(variant="once")) == 28 * 28, "by the coarsest layer"
    assert reach(net(variant="forward")) == 1, "no place learns of another"
    assert reach(net(steps=1)) == 1 and 1 < reach(net(steps=2)) < 28 * 28
    trained = [sum(p.numel() for p in net(variant=v).parameters() if p.requires_grad) for v in ("once", "forward")]
    assert trained == [13_458, 6]


def test_pictures_of_any_size_keep_it() -> None:
    model = net(steps=2)
    for size in ((28, 28), (1, 1), (30, 57)):
        assert seen(model, torch.rand(1, 1, *size)).last.x.shape[-2:] == size


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(SettingsError, match="sizes has 2 entries and encoder"):
        net(sizes=(4, 8))
