"""What does not fit is answered in one sentence: the argument, what was given, what was expected, what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from crnn.errors import CrnnError, SettingsError, ShapeError
from crnn.layers import (
    RCL,
    ConvGRU,
    ConvLSTM,
    ConvRNN,
    ElmanCell,
    GRUCell,
    JordanCell,
    LSTMCell,
    MinimalCell,
    Recurrent,
    RecurrentDropout,
    TrajectoryGRUCell,
    Window,
    Zoneout,
    scan,
)
from crnn.layers._given import channels_first, check_window, time_first, traced

LAYERS: dict[str, Callable[[], Any]] = {
    "lstm of torch": lambda: Recurrent(3, 4),
    "both ways": lambda: Recurrent(3, 4, cell="gru", bidirectional=True),
    "lstm": lambda: Recurrent(3, 4, cell=LSTMCell, layers=2),
    "jordan": lambda: Recurrent(3, 4, cell=JordanCell),
    "dropout": lambda: Recurrent(3, 4, cell=lambda i, s: RecurrentDropout(ElmanCell(i, s), 0.5)),
    "line": lambda: ConvGRU(3, 4, space=1),
    "picture": lambda: ConvLSTM(3, 4),
    "solid": lambda: ConvRNN(3, 4, space=3),
    "trajectory": lambda: Recurrent(3, 4, cell=TrajectoryGRUCell),
    "stride": lambda: Recurrent(3, 4, cell=partial(MinimalCell, window=Window(stride=2))),
}
every_layer = pytest.mark.parametrize("name", list(LAYERS))
some_layers = pytest.mark.parametrize("name", ["lstm of torch", "lstm", "jordan", "picture"])
SENTENCE = re.compile(r"^[a-z].*; expected .*\. [A-Z].*\.$")


def series(layer: Any, *, batch: int = 2, steps: int = 5) -> Tensor:
    return torch.randn(batch, steps, 3, *(6, 4, 2)[: layer.space])


def refused(run: Callable[[], Any], *parts: str) -> str:
    """One sentence that holds these parts."""
    with pytest.raises(ShapeError) as caught:
        run()
    said = str(caught.value)
    assert isinstance(caught.value, CrnnError) and isinstance(caught.value, ValueError)
    assert SENTENCE.match(said) and "\n" not in said, said
    for part in parts:
        assert part in said, said
    return said


@every_layer
@pytest.mark.parametrize("more", [-1, 1, 2])
def test_too_few_or_too_many_axes(name: str, more: int) -> None:
    layer = LAYERS[name]()
    x = series(layer)
    wrong = x[0] if more < 0 else x.reshape(*x.shape, *[1] * more)
    axes = ("batch", "time", "channels", "height", "width", "depth")[: x.dim()]
    refused(
        lambda: layer(wrong),
        f"x has {x.dim() + more} axes, {tuple(wrong.shape)}",
        f"expected {x.dim()}: ({', '.join(axes)})",
    )


@every_layer
def test_other_channels_than_it_was_built_for(name: str) -> None:
    layer = LAYERS[name]()
    x = series(layer)
    wrong = torch.cat([x, x], 2)
    refused(lambda: layer(wrong), f"x has 6 channels, {tuple(wrong.shape)}", "expected 3 channels in (batch, time, ch")
    last = x.movedim(2, -1)
    if layer.space:
        refused(lambda: layer(last), f"x has {last.shape[2]} channels", "or move the channels to their axis")


@every_layer
def test_no_steps(name: str) -> None:
    layer = LAYERS[name]()
    refused(lambda: layer(series(layer)[:, :0]), "x has no steps, (2, 0, 3", "expected at least one step on axis 1")


@some_layers
@pytest.mark.parametrize(
    "lengths, given, expected",
    [
        (torch.tensor([5, 6]), "lengths holds 6", "expected 0 to 5, the steps of x"),
        (torch.tensor([-1, 5]), "lengths holds -1", "expected 0 to 5, the steps of x"),
        (torch.tensor([5]), "lengths is int64 (1,)", "one for each of the 2 samples of the batch"),
        (torch.tensor([5, 5, 5]), "lengths is int64 (3,)", "one for each of the 2 samples"),
        (torch.tensor([[5, 5]]), "lengths is int64 (1, 2)", "one for each of the 2 samples"),
        (torch.tensor(5), "lengths is int64 ()", "one for each of the 2 samples"),
        (torch.tensor([5.0, 2.0]), "lengths is float32 (2,)", "expected a tensor of whole numbers (int64)"),
        (torch.tensor([True, False]), "lengths is bool (2,)", "expected a tensor of whole numbers (int64)"),
        (
            torch.tensor([0, 5], dtype=torch.uint8),
            "lengths is uint8 (2,)",
            "expected a tensor of whole numbers (int64)",
        ),
        ([5, 2], "lengths is a list of int", "expected a tensor of whole numbers (int64), one for each of the 2 sam"),
        (3, "lengths is a int", "expected a tensor of whole numbers (int64), one for each of the 2 samples"),
    ],
)
def test_lengths_that_are_none(name: str, lengths: Any, given: str, expected: str) -> None:
    layer = LAYERS[name]()
    refused(lambda: layer(series(layer), None, lengths), given, expected)


@every_layer
@pytest.mark.parametrize("lengths", [[0, 5], [1, 3]])
def test_lengths_in_any_order_are_welcome(name: str, lengths: list[int]) -> None:
    layer = LAYERS[name]()
    for kind in (torch.int64, torch.int32):
        y, _ = layer(series(layer), None, torch.tensor(lengths, dtype=kind))
        assert y.shape[:2] == (2, 5)


@every_layer
def test_a_state_that_does_not_fit(name: str) -> None:
    layer = LAYERS[name]()
    x = series(layer)
    state = layer(x)[1]
    if state is None:
        return
    first = state[0]
    shapes = ", ".join(str(tuple(s.shape)) for s in first)
    rest = list(state[1:])
    other = tuple(torch.cat([s, s]) for s in first)
    found = ", ".join(str(tuple(s.shape)) for s in other)
    do = "Give the state that this layer gave for the same batch and picture size, or None"
    refused(lambda: layer(x, [other, *rest]), f"state has the shapes {found}", f"expected {shapes}", do)
    refused(lambda: layer(x, [(*first, first[0]), *rest]), "state has the shapes", f"expected {shapes}")
    refused(lambda: layer(x, [(), *rest]), "state has the shapes", f"expected {shapes}")
    refused(lambda: layer(x, [first[0], *rest]), "state is a Tensor", f"expected a tuple of tensors {shapes}")
    refused(lambda: layer(x, ["no", *rest]), "state is a str", f"expected a tuple of tensors {shapes}")
    refused(lambda: layer(x, [(None,) * len(first), *rest]), "state is a tuple of NoneType", "expected a tuple of tens")
    layers = len(state)
    refused(lambda: layer(x, [*state, first]), f"state has {layers + 1} entries", f"expected {layers}, one a layer")
    refused(lambda: layer(x, []), "state has 0 entries", f"expected {layers}, one a layer", "or None to start anew")
    for wrong in (first[0], "no", 3, {"h": first}):
        said = refused(lambda wrong=wrong: layer(x, wrong))
        assert said.startswith("state is a") or said.startswith("state has"), said


def test_the_pair_of_one_layer_is_not_the_list_of_two() -> None:
    layer = Recurrent(3, 4, cell=LSTMCell, layers=2)
    x = torch.randn(2, 5, 3)
    refused(
        lambda: layer(x, (torch.zeros(2, 4), torch.zeros(2, 4))), "state is a Tensor", "expected a tuple of tensors"
    )
    refused(lambda: layer(x, (torch.zeros(2, 2, 4), torch.zeros(2, 2, 4))), "state is a Tensor")


def test_a_state_of_another_picture() -> None:
    layer = ConvLSTM(3, 4)
    _, state = layer(torch.randn(2, 1, 3, 6, 4))
    refused(lambda: layer(torch.randn(2, 1, 3, 6, 5), state), "(2, 4, 6, 4)", "expected (2, 4, 6, 5), (2, 4, 6, 5)")


def test_a_state_behind_a_stride_is_smaller_than_the_picture() -> None:
    layer = LAYERS["stride"]()
    x = torch.randn(2, 1, 3, 5, 4)
    refused(lambda: layer(x, [(torch.zeros(2, 4, 5, 4),)]), "(2, 4, 5, 4)", "expected (2, 4, 3, 2)")
    layer(x, [(torch.zeros(2, 4, 3, 2),)])


@every_layer
def test_numbers_of_another_type_than_the_weights(name: str) -> None:
    layer = LAYERS[name]()
    for kind in (torch.float64, torch.bfloat16, torch.uint8, torch.int64):
        x = series(layer).mul(9).to(kind)
        word = str(kind).removeprefix("torch.")
        refused(lambda x=x: layer(x), f"x is {word}", "expected float32, the type of the weights")
    with torch.autocast("cpu", torch.bfloat16):
        layer(series(layer))
        layer(series(layer).bfloat16())
        refused(lambda: layer(series(layer).mul(9).to(torch.uint8)), "x is uint8", "expected float32")


@pytest.mark.parametrize("make", [ElmanCell, JordanCell, LSTMCell, GRUCell, MinimalCell])
def test_the_scan_itself_looks_too(make: Any) -> None:
    cell = make(3, 4)
    x = torch.randn(2, 5, 3)
    refused(lambda: scan(cell, x[0]), "x has 2 axes, (5, 3)", "a single sample needs a batch axis of 1")
    refused(lambda: scan(cell, x[..., :2]), "x has 2 channels")
    refused(lambda: scan(cell, x, (torch.zeros(3, 4),) * cell.parts), "state has the shapes (3, 4)", "(2, 4)")
    refused(lambda: scan(cell, x, None, torch.tensor([9, 1])), "lengths holds 9")
    refused(lambda: scan(Zoneout(cell, [0.1] * cell.parts), x[..., :2]), "x has 2 channels")


def test_a_kernel_wider_than_the_picture_works_where_zeros_stand_around() -> None:
    y, _ = ConvLSTM(3, 4, kernel_size=9)(torch.randn(1, 2, 3, 2, 1))
    assert y.shape == (1, 2, 4, 2, 1)


def test_a_kernel_wider_than_the_picture_is_refused_where_none_do() -> None:
    refused(
        lambda: check_window((3, 5), (3, 4), ("height", "width")),
        "the kernel covers 5 places of width",
        "at most the 4 that x has there",
    )
    check_window((3, 4), (3, 4), ("height", "width"))


def test_names_of_axes() -> None:
    assert time_first(0) == ("batch", "time", "channels")
    assert time_first(3) == ("batch", "time", "channels", "height", "width", "depth")
    assert channels_first(1) == ("batch", "channels", "time")
    assert channels_first(3) == ("batch", "channels", "time", "height", "width")


def test_nothing_is_looked_at_while_a_graph_is_made() -> None:
    assert not traced()
    found = []

    def watch(x: Tensor) -> Tensor:
        found.append(traced())
        return x.sum()

    torch.func.grad(watch)(torch.ones(2))
    assert found == [True]


def test_lengths_on_a_device_are_not_fetched_to_be_looked_at() -> None:
    layer = ConvLSTM(3, 4).to("meta")
    x = torch.empty(2, 5, 3, 6, 4, device="meta")
    y, _ = layer(x, None, torch.empty(2, dtype=torch.long, device="meta"))
    assert y.shape == (2, 5, 4, 6, 4)


@pytest.mark.parametrize("name", ["lstm", "jordan", "dropout", "picture", "stride"])
def test_a_step_of_a_cell_alone(name: str) -> None:
    cell = LAYERS[name]().layers[0]
    x = torch.randn(2, 3, *(6, 4, 2)[: cell.space])
    _, state = cell(x)
    cell(x, state)
    refused(lambda: cell(x[0]), f"x has {x.dim() - 1} axes", "(batch, channels")
    refused(lambda: cell(torch.cat([x, x], 1)), "x has 6 channels", "expected 3 channels in (batch, channels")
    refused(lambda: cell(x.double()), "x is float64; expected float32")
    refused(lambda: cell(x, tuple(s[:1] for s in state)), "state has the shapes (1, 4")


def test_arrays_are_no_tensors() -> None:
    said = refused(lambda: ConvLSTM(3, 4)(series(ConvLSTM(3, 4)).numpy()), "x is a ndarray; expected a tensor (batch,")
    assert said.endswith("Convert it: torch.as_tensor.")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ConvLSTM(3, 4, 0), "kernel_size is 0; expected 1 or more"),
        (lambda: ConvGRU(3, 4, 2.5), "kernel_size is 2.5; expected 1 or more"),
        (lambda: ConvGRU(3, 4, (3, -1)), "kernel_size is -1; expected 1 or more. Give a whole number for each axis"),
        (lambda: GRUCell(3, 4, window=Window(stride=0)), "stride is 0"),
        (lambda: RCL(3, 4, kernel_size=0), "kernel_size is 0"),
        (lambda: ConvLSTM(3, 0), "size is 0; expected 1 or more. Give a whole number."),
        (lambda: Recurrent(3, 0), "size is 0"),
        (lambda: ElmanCell(-1, 3), "inputs is -1; expected 0 or more"),
        (lambda: Recurrent(3, 4, dropout=2.0), "dropout is 2.0; expected a share from 0 to 1"),
        (
            lambda: Recurrent(3, 4, cell=torch.nn.LSTM),
            "cell makes an nn.LSTM; expected one layer in one dir",
        ),
    ],
)
def test_sizes_that_make_no_layer(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)) as caught:
        make()
    assert SENTENCE.match(str(caught.value))


def test_cells_without_biases() -> None:
    for cell in (ElmanCell, JordanCell, LSTMCell, GRUCell, MinimalCell):
        assert not [name for name, _ in cell(3, 4, bias=False).named_parameters() if "bias" in name], cell
