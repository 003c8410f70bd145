"""What is said of a network: no weight is lost, arithmetic and sight are those of the definitions."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial
from itertools import pairwise
from xml.etree import ElementTree

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn import create
from crnn.bundle import Net, build, combinations
from crnn.cli.show import _fresh
from crnn.data import inputs
from crnn.describe import NOT_RUN, Description, describe
from crnn.drawing import LAYER, SIZE, draw, short
from crnn.errors import SettingsError
from crnn.layers import (
    ConvBlock,
    GRUCell,
    LocalResponseNorm,
    LSTMCell,
    MaxPool,
    Recurrent,
    TrajectoryGRUCell,
    Window,
    Zoneout,
    layer_norm,
    scan,
)
from crnn.models import MODELS
from crnn.tasks import TASKS
from crnn.tasks.transcribe import Transcribe
from crnn.types import Features, InputSpec, Seq

LINE = InputSpec("line", 1, (16,))
SERIES = InputSpec("series", 4)
FILM = InputSpec("film", 3, (8, 8))


def toy(function: Callable[[Tensor], Tensor], *modules: nn.Module) -> nn.Module:
    """A network that works on the tensor alone; ``modules`` are its parts."""

    class Toy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList(modules)

        def forward(self, seq: Seq) -> Features:
            return Features((Seq(function(seq.x), seq.lengths),))

    return Toy()


FIRST = {model: (kind, task) for model, kind, task in list(combinations())[::-1]}
"""Model to the first kind of input that it reads, and the first task that it can do with it."""
READERS = [model for model, (kind, _) in FIRST.items() if kind == "line"]


@cache
def of(name: str, height: int = 64) -> tuple[Net, Description]:
    kind, task = FIRST[name]
    table = {"name": kind, **({"height": height} if kind == "line" else {})}
    net = create(name, task=task, classes=4, input=table)
    return net, describe(net, inputs.restore(table).spec, 120)


@pytest.mark.parametrize("name", MODELS)
def test_rows_hold_every_parameter_and_end_where_the_network_does(name: str) -> None:
    net, description = of(name)
    assert sum(row.parameters for row in description.rows) == sum(p.numel() for p in net.parameters())
    assert description.totals.parameters == sum(p.numel() for p in net.parameters())
    assert description.totals.multiply_adds == sum(row.multiply_adds for row in description.rows)
    assert description.totals.bytes == sum(v.numel() * v.element_size() for v in net.state_dict().values())
    own = getattr(net.encoder, "answers", False)  # the head adds nothing
    went = [row for row in description.rows if row.shape]  # behind them stand parameters that no module computes with
    last = [row for row in went if row.parameters][-1] if own else went[-1]
    if name == "pyramid":  # whose answers are features of its finest layer, and whose last row is the coarsest
        return
    level = net.encoder.levels[-1]
    dense = FIRST[name][0] == "scene"  # each place has an answer
    assert last.role == ("conv" if dense else "linear") and last.shape[2 if dense else -1] == 4
    if name in READERS:
        assert last.shape == (1, net.encoder.out_lengths(torch.tensor([120])).item(), 4)
        assert (last.field, last.stride) == (math.inf, level.stride)


def test_names_are_those_of_the_weights() -> None:
    net, description = of("crnn_vgg", 32)
    weights = {name.rsplit(".", 1)[0] for name, _ in net.named_parameters()}
    assert weights == {row.name for row in description.rows if row.parameters}


def test_the_published_table_of_crnn_vgg() -> None:
    _, description = of("crnn_vgg", 32)
    rows = [(r.kind, r.shape, r.field, r.stride) for r in description.rows if r.role in ("conv", "pool")]
    assert rows == [
        ("conv 3×3", (1, 120, 64, 32), 3, 1),
        ("max pool 2×2", (1, 60, 64, 16), 4, 2),
        ("conv 3×3", (1, 60, 128, 16), 8, 2),
        ("max pool 2×2", (1, 30, 128, 8), 10, 4),
        ("conv 3×3", (1, 30, 256, 8), 18, 4),
        ("conv 3×3", (1, 30, 256, 8), 26, 4),
        ("max pool 2×2, stride 1×2", (1, 31, 256, 4), 30, 4),
        ("conv 3×3", (1, 31, 512, 4), 38, 4),
        ("conv 3×3", (1, 31, 512, 4), 46, 4),
        ("max pool 2×2, stride 1×2", (1, 32, 512, 2), 50, 4),
        ("conv 2×2", (1, 31, 512, 1), 54, 4),
    ]
    recurrent = [(r.kind, r.direction) for r in description.rows if r.role == "recurrent"]
    assert recurrent == [("LSTM 256 →", "forward"), ("LSTM 256 ←", "backward")] * 2


@pytest.mark.parametrize("name", READERS)
def test_field_is_where_the_gradient_comes_from(name: str) -> None:
    task = Transcribe.restore(Transcribe.Settings(), {"letters": "ab"})
    net = build(task, {"height": 64}, {"name": name}).net.eval()
    described = describe(net, InputSpec("line", 1, (64,)), 400)
    row = [r for r in described.rows if r.role in ("conv", "pool")][-1]
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, MaxPool):  # a largest value has one source; a mean has all of them
                module.pool = nn.AvgPool2d(module.kernel_size, module.stride, module.padding)  # type: ignore[assignment]
        for parameter in net.parameters():
            parameter.copy_(0.1 * parameter.abs() + 0.01)  # nothing is cut off or cancels
    seen: list[Tensor] = []
    net.get_submodule(row.name.rsplit(".", 1)[0]).register_forward_hook(lambda m, x, y: seen.append(y[0]))
    x = torch.ones(1, 400, 1, 64, requires_grad=True)
    net(Seq(x, torch.tensor([400])))
    assert seen[0].shape[2] == row.shape[1]
    columns = []
    for step in (row.shape[1] // 2, row.shape[1] // 2 + 1):
        (gradient,) = torch.autograd.grad(seen[0][:, :, step].sum(), x, retain_graph=True)
        columns.append(gradient.abs().sum((0, 2, 3)).nonzero().flatten())
    assert len(columns[0]) == columns[0][-1] - columns[0][0] + 1 == row.field
    assert int(columns[1][0] - columns[0][0]) == row.stride


def test_arithmetic_is_that_of_the_definitions() -> None:
    conv, lstm, gru = nn.Conv1d(4, 6, 5, stride=2), nn.LSTM(6, 7, batch_first=True), nn.GRU(7, 3, bidirectional=True)
    linear = nn.Linear(6, 2)

    def work(x: Tensor) -> Tensor:
        y = lstm(conv(x.mT).mT)[0]
        return linear(gru(y.transpose(0, 1))[0].transpose(0, 1))

    rows = describe(toy(work, conv, lstm, gru, linear), SERIES, 25).rows
    assert [(r.kind, r.shape, r.multiply_adds, r.field, r.stride) for r in rows] == [
        ("conv 5, stride 2", (1, 11, 6), 11 * 6 * 4 * 5, 5, 2),
        ("LSTM 7 →", (1, 11, 7), 11 * 4 * 7 * (6 + 7), math.inf, 2),
        ("GRU 3 ↔", (1, 11, 6), 11 * 2 * 3 * 3 * (7 + 3), math.inf, 2),
        ("linear", (1, 11, 2), 11 * 6 * 2, math.inf, 2),
    ]
    assert [r.parameters for r in rows] == [4 * 6 * 5 + 6, 28 * (6 + 7 + 2), 2 * 9 * (7 + 3 + 2), 14]


class Gate(nn.Module):
    """A layer torch knows nothing of: weights of its own around a child."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.matrix = nn.Parameter(torch.ones(4, 5))
        self.inner = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.inner(x) * self.scale) @ self.matrix


def test_unknown_layers_keep_their_weights_and_their_arithmetic() -> None:
    gate, unused = Gate(), nn.Linear(3, 3)
    tied = nn.Linear(4, 4)
    tied.weight = gate.inner.weight
    net = toy(lambda x: gate(tied(x)), gate, unused, tied)
    description = describe(net, SERIES, 10)
    rows = {row.name: row for row in description.rows}
    assert description.totals.parameters == sum(p.numel() for p in net.parameters()) == 16 + 4 + 4 + 4 + 20 + 12
    assert rows["parts.0"].kind == "Gate"
    assert (rows["parts.0"].parameters, rows["parts.0"].multiply_adds) == (24, 10 * 4 * 5)
    assert rows["parts.0"].shape == (1, 10, 5)
    assert rows["parts.0.inner"].multiply_adds == rows["parts.2"].multiply_adds == 10 * 16
    assert rows["parts.0.inner"].parameters + rows["parts.2"].parameters == 16 + 8
    assert rows["parts.1"].shape == () and rows["parts.1"].parameters == 12
    assert description.rows[-1] is rows["parts.1"], "what is not used stands last"


def test_a_branch_is_not_counted_twice() -> None:
    main, again, short_cut = nn.Conv1d(4, 4, 3, 2, 1), nn.Conv1d(4, 4, 3, 1, 1), nn.Conv1d(4, 4, 1, 2)

    def work(x: Tensor) -> Tensor:
        x = x.mT
        return (again(main(x).relu()) + short_cut(x)).mT

    head = nn.Linear(4, 2)
    rows = describe(toy(lambda x: head(work(x)), main, again, short_cut, head), SERIES, 20).rows
    assert [(r.field, r.stride) for r in rows] == [(3, 2), (7, 2), (1, 2), (7, 2)]


def test_steps_can_become_more_again() -> None:
    down, up, pool = nn.Conv1d(4, 8, 4, 4), nn.ConvTranspose1d(8, 4, 4, 2, 1), nn.AdaptiveAvgPool1d(1)
    rows = describe(toy(lambda x: pool(up(down(x.mT))).mT, down, up, pool), SERIES, 40).rows
    assert [(r.kind, r.shape, r.field, r.stride) for r in rows] == [
        ("conv 4, stride 4", (1, 10, 8), 4, 4),
        ("transposed conv 4, stride 2", (1, 20, 4), 8, 2),
        ("average pool to 1", (1, 1, 4), math.inf, 40),
    ]
    assert describe(toy(lambda x: up(x.mT[:, [0, 1] * 4]).mT, up), SERIES, 4).rows[0].stride == Fraction(1, 2)


def test_film_frame_by_frame_and_through_time() -> None:
    frames, volume = nn.Conv2d(3, 5, 3, 2), nn.Conv3d(5, 6, (3, 1, 1), padding=(1, 0, 0))
    pool = nn.MaxPool2d(3)

    def work(x: Tensor) -> Tensor:
        x = pool(frames(x.flatten(0, 1)))  # (batch * time, channels, height, width)
        return volume(x[None].transpose(1, 2)).transpose(1, 2)

    rows = describe(toy(work, frames, pool, volume), FILM, 10).rows
    assert [(r.shape, r.field, r.stride) for r in rows] == [
        ((1, 10, 5, 3, 3), 1, 1),
        ((1, 10, 5, 1, 1), 1, 1),
        ((1, 10, 6, 1, 1), 3, 1),
    ]
    assert rows[0].multiply_adds == 10 * 9 * 5 * 27


class Loop(nn.Module):
    """A convolutional recurrence that calls its convolution at each step."""

    recurs = True

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3 + 2, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h, out = x.new_zeros(1, 2, 8, 8), torch.empty(1, x.shape[1], 2, 8, 8)
        for t in range(x.shape[1]):
            h = torch.tanh(self.conv(torch.cat([x[:, t], h], dim=1)))
            out[:, t] = h
        return out


def test_a_loop_over_time_gets_its_time_axis_back() -> None:
    loop, head = Loop(), nn.Linear(8, 2)
    rows = describe(toy(lambda x: head(loop(x)), loop, head), FILM, 6).rows
    assert [(r.shape, r.multiply_adds) for r in rows] == [
        ((1, 6, 2, 8, 8), 6 * 64 * 2 * 5 * 9),
        ((1, 6, 2, 8, 2), 6 * 2 * 8 * 8 * 2),
    ]
    assert rows[1].field == math.inf and rows[1].stride == 1


def test_cells_and_attention() -> None:
    cell, attention = nn.LSTMCell(4, 6), nn.MultiheadAttention(6, 2, batch_first=True)

    def work(x: Tensor) -> Tensor:
        state, out = None, []
        for t in range(x.shape[1]):
            state = cell(x[:, t], state)
            out.append(state[0])
        y = torch.stack(out, dim=1)
        return attention(y, y, y, need_weights=False)[0]

    net = toy(work, cell, attention)
    description = describe(net, SERIES, 9)
    assert description.totals.parameters == sum(p.numel() for p in net.parameters())
    first, last = description.rows
    assert (first.kind, first.shape, first.multiply_adds) == ("LSTM 6 →", (1, 9, 6), 9 * 24 * (4 + 6))
    assert last.kind == "MultiheadAttention" and last.field == math.inf and last.shape == (1, 9, 6)
    assert last.multiply_adds == 9 * 4 * 36 + 2 * 81 * 6


def test_a_cell_of_our_own_is_one_layer_with_all_that_is_inside_it() -> None:
    cell = Zoneout(LSTMCell(3, 2, window=Window(kernel_size=3, state_kernel_size=5), peepholes=True), (0.1, 0.1))
    dense = Recurrent(4, 6, cell=partial(GRUCell, norm=layer_norm), bidirectional=True)
    net = toy(lambda x: scan(cell, x)[0], cell)
    (row,) = describe(net, FILM, 8).rows  # as many frames as rows of pixels
    assert (row.name, row.kind, row.role) == ("parts.0", "LSTM 2 →, conv 3×3, state 5×5", "recurrent")
    assert (row.shape, row.field, row.stride, row.times) == ((1, 8, 2, 8, 8), math.inf, 1, 1)
    assert row.parameters == sum(p.numel() for p in cell.parameters()) == 8 * 3 * 9 + 8 + 8 * 2 * 25 + 3 * 2
    assert row.multiply_adds == 8 * 64 * 8 * (3 * 9 + 2 * 25)
    rows = describe(toy(lambda x: dense(x)[0], dense), SERIES, 9).rows
    assert [(r.kind, r.shape, r.direction) for r in rows] == [
        ("GRU 6 →", (1, 9, 6), "forward"),
        ("GRU 6 ←", (1, 9, 6), "backward"),
    ]
    assert sum(r.parameters for r in rows) == sum(p.numel() for p in dense.parameters())


def test_a_cell_without_input_is_described_though_its_weights_learn() -> None:
    cell = TrajectoryGRUCell(0, 2)
    net = toy(lambda x: scan(cell, x[:, :, :0])[0], cell)
    (row,) = describe(net, FILM, 4).rows
    assert row.shape == (1, 4, 2, 8, 8) and row.kind == "TrajectoryGRU 2 →, conv 3×3"
    assert all(p.requires_grad for p in net.parameters())


SOUND = InputSpec("sound", 1, (8,))


def test_time_is_told_from_frames_and_from_space() -> None:
    conv = nn.Conv1d(8, 4, 3)
    (row,) = describe(toy(lambda x: conv(F.pad(x.flatten(2).mT, (2, 0))), conv), SOUND, 20).rows
    assert (row.shape, row.field) == ((1, 20, 4), 3)
    frame = nn.Conv2d(3, 4, 3, padding=1)
    (row,) = describe(toy(lambda x: frame(x.flatten(0, 1)), frame), FILM, 8).rows
    assert (row.shape, row.field) == ((1, 8, 4, 8, 8), 1)


def test_one_way_on_packed_samples_keeps_its_time() -> None:
    layer = Recurrent(4, 6)
    (row,) = describe(toy(lambda x: layer(x, None, torch.tensor([7]))[0], layer), SERIES, 7).rows
    assert row.shape == (1, 7, 6)


def test_layers_beside_each_other() -> None:
    conv, norm, pool = nn.Conv1d(4, 6, 5, padding=2), nn.BatchNorm1d(6), nn.MaxPool1d(3, 1, 1)
    short, lstm, last = nn.Conv1d(4, 6, 1), nn.LSTM(6, 6, batch_first=True), nn.Linear(12, 2)

    def work(x: Tensor) -> Tensor:
        a = pool(norm(conv(x.mT)).relu()).mT
        return last(torch.cat([a, lstm(short(x.mT).mT)[0]], 2))

    description = describe(toy(work, conv, norm, pool, short, lstm, last), SERIES, 20)
    rows = [f"parts.{i}" for i in range(6)]
    assert [(r.name, r.after) for r in description.rows] == [
        (rows[0], ("",)),
        (rows[1], (rows[0],)),
        (rows[2], (rows[1],)),
        (rows[3], ("",)),
        (rows[4], (rows[3],)),
        (rows[5], (rows[2], rows[4])),
    ]
    picture = draw(description)
    assert "beside, from the input" in picture and "and max pool 3, stride 1, 20 × 6" in picture
    assert "sees" not in picture.split("</style>")[1], "a recurrence over single steps"


def test_what_the_recurrence_goes_through_is_said() -> None:
    conv, lstm, wide = nn.Conv1d(4, 6, 5, padding=2), nn.LSTM(6, 6, batch_first=True), nn.Conv1d(4, 6, 9, padding=4)
    net = toy(lambda x: lstm(conv(x.mT).mT)[0] + wide(x.mT).mT, conv, lstm, wide)
    assert "each step before the recurrence sees 5 of these steps" in draw(describe(net, SERIES, 20))


def test_a_layer_that_works_several_times() -> None:
    conv, pool = nn.Conv1d(4, 4, 3, padding=1), nn.MaxPool1d(2)
    net = toy(lambda x: pool(conv(pool(conv(conv(x.mT)))).relu()).mT, conv, pool)
    description = describe(net, SERIES, 20)
    assert [(r.words, r.shape, r.multiply_adds) for r in description.rows] == [
        ("conv 3, 3 times", (1, 20, 4), (20 + 20 + 10) * 4 * 4 * 3),
        ("max pool 2, 2 times", (1, 10, 4), 0),
    ]
    assert ">conv 3<" in draw(description) and ">3 times<" in draw(description)


def test_norms_of_a_layer_that_works_several_times_are_drawn_with_it() -> None:
    conv, gate, norms = nn.Conv1d(4, 4, 1), nn.Conv1d(4, 4, 3, padding=1), [nn.BatchNorm1d(4) for _ in range(4)]

    def work(x: Tensor) -> Tensor:
        x = x.mT
        for a, b in (norms[:2], norms[2:]):
            x = a(conv(x)) * b(gate(x)).sigmoid()
        return x.mT

    picture = draw(describe(toy(work, conv, gate, *norms), SERIES, 20))
    assert ">conv 1 + 2 × batch norm<" in picture and ">conv 3 + 2 × batch norm<" in picture
    assert picture.count(">conv 2 times<") == 2 and picture.count(">beside, from the input<") == 1


def test_outputs_side_by_side_keep_what_each_has_seen() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Conv1d(4, 4, 3, padding=1), nn.Conv1d(4, 4, 7, padding=3)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.one(x), self.other(x)

    two, last = Two(), nn.Linear(4, 2)
    row = describe(toy(lambda x: last(two(x.mT)[0].mT), two, last), SERIES, 20).rows[-1]
    assert (row.field, row.after) == (3, ("parts.0.one",))


def test_norms_do_no_multiply_adds() -> None:
    norm = LocalResponseNorm(3)
    (row,) = describe(toy(lambda x: norm(x.mT).mT, norm), SERIES, 9).rows
    assert (row.role, row.shape, row.multiply_adds) == ("norm", (1, 9, 4), 0)


TINY = {"cascade": {"channels": [4], "hidden": 4}, "rcnn_scene": {"sizes": [4, 4]}, "convlstm": {"hidden": [4, 3]}}


@pytest.mark.parametrize("task", TASKS)
def test_the_first_network_of_each_task(task: str) -> None:
    name, kind, _ = next(found for found in combinations() if found[2] == task)
    bundle = _fresh(name, task=task, kind=kind, outputs=5, settings=[f"encoder.{k}={v}" for k, v in TINY[name].items()])
    description = describe(bundle, bundle.kind.spec, 12)
    assert description.totals.parameters == sum(p.numel() for p in bundle.net.parameters())
    assert all(p.requires_grad for p in bundle.net.parameters())
    unread = [row.name for row in description.rows if not row.shape]
    assert bool(unread) == (task == "match") and (NOT_RUN in draw(description)) == bool(unread)


def test_numbers_as_input() -> None:
    embedding = nn.Embedding(50, 8)
    net = toy(lambda x: embedding(x.flatten(1)), embedding)
    (row,) = describe(net, InputSpec("sentence", 1, vocabulary=50), 12).rows
    assert (row.kind, row.shape, row.parameters, row.field) == ("Embedding", (1, 12, 8), 400, 1)


def test_the_network_is_left_as_it_was() -> None:
    net, _ = of("crnn_vgg", 32)
    net.train()
    net.encoder.stages[4].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [m.training for m in net.modules()]
    describe(net, InputSpec("line", 1, (32,)), 50)
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_network_that_fails_is_left_as_it_was() -> None:
    linear = nn.Linear(3, 3)
    with pytest.raises(RuntimeError):
        describe(toy(linear, linear).train(), SERIES, 5)
    assert linear.training and not linear._forward_hooks


@pytest.mark.parametrize("steps", [0, -3])
def test_no_steps_are_refused(steps: int) -> None:
    with pytest.raises(SettingsError, match=f"steps is {steps}"):
        describe(nn.Linear(4, 2), SERIES, steps)


def test_a_bundle_is_described_as_its_network() -> None:
    bundle = build(Transcribe.restore(Transcribe.Settings(), {"letters": "ab"}), {"height": 32}, {"name": "crnn_vgg"})
    assert describe(bundle, bundle.kind.spec, 30) == describe(bundle.net, bundle.kind.spec, 30)


@cache
def drawings() -> list[tuple[str, Description]]:
    found = [(name, of(name)[1]) for name in MODELS]
    block, recurrent = ConvBlock(1, 4, activation=nn.ReLU()), Recurrent(64, 4, bidirectional=True)

    def read(x: Tensor) -> Tensor:
        y = block(x.transpose(1, 2))[0]
        return recurrent(y.permute(0, 2, 3, 1).flatten(2))[0]

    found.append(("line", describe(toy(read, block, recurrent, Gate()), LINE, 30)))
    loop = Loop()
    found.append(("film", describe(toy(loop, loop), FILM, 5)))
    both = nn.GRU(4, 3, bidirectional=True, batch_first=True)
    found.append(("series", describe(toy(lambda x: both(x)[0], both), SERIES, 5)))
    found.append(("nothing", describe(toy(F.relu), SERIES, 5)))
    return found


def test_drawings_are_whole_and_stand_alone() -> None:
    for name, description in drawings():
        picture = draw(description)
        root = ElementTree.fromstring(picture)
        texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
        assert f"{description.totals.parameters:,}" in texts, name
        assert {r.kind for r in description.rows if r.role == "recurrent"} <= texts, name
        assert "href" not in picture and "@import" not in picture and "url(" not in picture, name
        assert "nan" not in picture and "inf" not in picture, name
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for element in root.iter("{http://www.w3.org/2000/svg}text"):
            assert 0 <= float(element.attrib["x"]) <= width and 0 <= float(element.attrib["y"]) <= height, name


def test_layers_of_a_drawing_do_not_overlap() -> None:
    for name, description in drawings():
        root = ElementTree.fromstring(draw(description))
        labels = [
            (float(element.attrib["y"]), element.text or "")
            for element in root.iter("{http://www.w3.org/2000/svg}text")
            if float(element.attrib["x"]) == LAYER and "small" not in element.attrib.get("class", "")
        ]
        assert all(b - a >= 14 for (a, _), (b, _) in pairwise(labels)), (name, labels)
        assert all(len(label) <= (SIZE - LAYER) / 5.8 for _, label in labels), (name, labels)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 "), (999, "999 "), (1000, "1.00 k"), (12_345, "12.3 k"), (589_824_000, "590 M")]
)
def test_short_numbers(number: float, text: str) -> None:
    assert short(number) == text
