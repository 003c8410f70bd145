"""The laws that every entry of the registries keeps; whoever adds an entry adds nothing here (see ``conftest.py``).

Training (overfit, resume) is in ``test_laws_training.py``, what users are told in ``test_laws_messages.py``.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crnn import bundle as bundles
from crnn.bundle import Bundle, build, combinations, refusal
from crnn.config import documented
from crnn.data.collate import collate
from crnn.data.dataset import Samples
from crnn.data.formats import FORMATS, open_data
from crnn.data.inputs import INPUTS
from crnn.deploy.predict import Predictor
from crnn.errors import CrnnError
from crnn.layers import BatchNorm, Recurrent, mask
from crnn.models import MODELS
from crnn.tasks import TASKS
from crnn.tasks._forecast.values import Future
from crnn.types import Batch, Features, InputSpec, Level, Sample, Seq

LENGTHS = [47, 90, 61, 33]
NORMS = (BatchNorm, nn.modules.batchnorm._BatchNorm)
Tiny = Callable[..., Bundle]
Made = Callable[..., list[Sample]]
ALL = list(combinations())
every_model = pytest.mark.parametrize("model", list(MODELS))
every_combination = pytest.mark.parametrize(("model", "kind", "task"), ALL)
every_reader = pytest.mark.parametrize(
    ("model", "kind", "task"), list({(model, kind): (model, kind, task) for model, kind, task in ALL[::-1]}.values())
)
"""Each model with each kind of input that it reads."""
every_kind = pytest.mark.parametrize(("kind", "task"), list({k: (k, t) for _, k, t in ALL[::-1]}.values()))


def pieces(net: Bundle, lengths: list[int] = LENGTHS, filling: int = 99) -> Seq:
    """Random inputs, ``filling`` behind their lengths."""
    spec, steps = net.kind.spec, torch.tensor(lengths)
    shape = (len(lengths), max(lengths), spec.channels, *spec.space)
    x = torch.randint(spec.vocabulary, shape) if spec.vocabulary else torch.rand(shape)
    filling = min(filling, (spec.vocabulary or 100) - 1)
    inside = mask(steps, max(lengths)).view(len(lengths), max(lengths), *[1] * (x.dim() - 2))
    return Seq(torch.where(inside, x, filling), steps)


def batch_of(net: Bundle, samples: list[Sample], filling: int = 0, extra: int = 0) -> Batch:
    """Real samples of a made set, targets and all, with ``extra`` steps of padding."""
    seen = Samples(samples[:9:2], net.kind, net.task)
    batch = collate([seen[0, i] for i in range(len(seen))]).batch
    assert batch is not None
    filling = min(filling, (net.kind.spec.vocabulary or 100) - 1)
    x = F.pad(batch.inputs.x, (0, 0) * (batch.inputs.x.dim() - 2) + (0, extra))
    inside = mask(batch.inputs.lengths, x.shape[1]).view(*x.shape[:2], *[1] * (x.dim() - 2))
    return replace(batch, inputs=Seq(torch.where(inside, x, filling), batch.inputs.lengths))


def wake(net: nn.Module, inputs: Seq) -> None:
    """Statistics that are not the initial ones, as after training; then ``eval()``."""
    net.train()
    with torch.no_grad():
        net(inputs)
    net.eval()


def rows_of(output: Any) -> list[Tensor]:
    """What the head says of each sample, ``(1, ...)``, without its padding."""
    if isinstance(output, Tensor):
        return list(output.split(1))
    y, lengths = output
    return [row[None, :length] for row, length in zip(y, lengths.tolist(), strict=True)]


def same(one: Any, other: Any) -> bool:
    """Whether two answers are the same; numbers may differ where float32 ends."""
    if isinstance(one, Future):
        return same(one.point, other.point) and same(one.bands, other.bands)
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and np.allclose(one, other, rtol=1e-4, atol=1e-5)
    numbers = isinstance(one, float) or (isinstance(one, tuple) and all(isinstance(v, float) for v in one))
    return bool(one == (pytest.approx(other, rel=1e-4, abs=1e-5) if numbers else other))


def alike(value: Any) -> Any:
    """What equals ``value``: numbers within rounding, anything else exactly."""
    numbers = value if isinstance(value, tuple) else (value,)
    return pytest.approx(value, rel=1e-5, abs=1e-5) if all(isinstance(n, float) for n in numbers) else value


def only_norms_train(net: nn.Module) -> nn.Module:
    """Training without dropout."""
    net.eval()
    for module in net.modules():
        if isinstance(module, NORMS):
            module.train()
    return net


# 1 padding


@every_combination
def test_padding_alone_equals_in_a_batch_whatever_stands_in_it(model: str, kind: str, task: str, tiny: Tiny) -> None:
    made = tiny(model, task, kind)
    inputs = pieces(made)
    wake(made.net, inputs)
    with torch.no_grad():
        together = rows_of(made.net(inputs))
        for i, length in enumerate(LENGTHS):
            output = made.net(Seq(inputs.x[i : i + 1, :length], inputs.lengths[i : i + 1]))
            (alone,) = rows_of(output)
            assert isinstance(output, Tensor) or alone.shape[1] == output.x.shape[1], "alone there is no padding"
            torch.testing.assert_close(together[i], alone, rtol=1e-5, atol=1e-5)


@every_combination
def test_padding_changes_neither_loss_nor_predictions(
    model: str, kind: str, task: str, tiny: Tiny, samples: Made
) -> None:
    net = tiny(model, task, kind)
    plain, padded = (batch_of(net, samples(task, kind), filling=f, extra=e) for f, e in ((0, 0), (99, 50)))
    wake(net.net, plain.inputs)
    with torch.no_grad():
        torch.testing.assert_close(net.task.loss(net.net, padded), net.task.loss(net.net, plain), rtol=1e-5, atol=1e-5)
        for one, other in zip(*(net.task.predict(net.net, b) for b in (plain, padded)), strict=True):
            assert (one.id, len(one.parts)) == (other.id, len(other.parts)) and same(one.value, other.value)
            assert one.score == pytest.approx(other.score, abs=1e-5)


@every_reader
def test_padding_enters_no_statistic_in_training(
    model: str, kind: str, task: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny(model, task, kind)
    x, lengths = pieces(made)
    inputs = Seq(
        x.double() if x.is_floating_point() else x, lengths
    )  # sums over a film's places lose digits of float32
    net, alone = only_norms_train(made.net.double()), only_norms_train(copy.deepcopy(made.net.double()))
    with torch.no_grad():
        together = rows_of(net(inputs))
    expected = side_by_side(alone, inputs, monkeypatch)
    for here, there in zip(together, expected, strict=True):
        torch.testing.assert_close(here, there, rtol=1e-4, atol=2e-5)
    state = alone.state_dict()
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=1e-4, atol=1e-5, msg=name)


def side_by_side(net: nn.Module, inputs: Seq, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """``net`` on each sample alone, without any padding, except that batch normalisation sees all samples at once: one
    thread a sample, which wait for each other at each normalisation. This is what training on a batch means."""
    count = len(inputs.lengths)
    barrier, seen, answers = threading.Barrier(count, timeout=60), [torch.empty(0)] * count, [torch.empty(0)] * count
    mine = threading.local()

    def normalise(norm: Any, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        assert lengths is None or (x.shape[0] == 1 and lengths.tolist() == [x.shape[2]]), "nothing is padded"
        seen[mine.index] = x
        barrier.wait()
        places = torch.cat([s.movedim(1, -1).flatten(0, -2) for s in seen])
        if mine.index == 0:
            norm.running_mean.lerp_(places.mean(0), norm.momentum)
            norm.running_var.lerp_(places.var(0), norm.momentum)
        barrier.wait()
        return F.batch_norm(x, places.mean(0), places.var(0, correction=0), norm.weight, norm.bias, False, 0, norm.eps)

    def run(i: int) -> None:
        mine.index = i
        try:
            with torch.no_grad():
                length = int(inputs.lengths[i])
                answers[i] = rows_of(net(Seq(inputs.x[i : i + 1, :length], inputs.lengths[i : i + 1])))[0]
        except BaseException:
            barrier.abort()
            raise

    with monkeypatch.context() as patch:
        for kind in NORMS:
            patch.setattr(kind, "forward", normalise)
        threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not barrier.broken
    return answers


@every_reader
def test_predictions_are_the_same_in_any_batches(model: str, kind: str, task: str, tiny: Tiny, samples: Made) -> None:
    net = tiny(model, task, kind)
    wake(net.net, pieces(net))
    some = samples(task, kind)[:7]
    one, many = (list(Predictor(copy.deepcopy(net), precision="float32", batch_size=b).stream(some)) for b in (1, 7))
    for sample, here, there in zip(some, one, many, strict=True):
        assert not isinstance(here, CrnnError) and not isinstance(there, CrnnError)
        assert sample.id == here.id == there.id and same(here.value, there.value)
        assert here.score == pytest.approx(there.score, abs=1e-5)


# 2 stream and 3 causality: for encoders that say ``causal = True``; toys keep these two laws themselves honest


class OneWay(nn.Module):
    """Sees the past alone, and says so."""

    accepts, causal, ways = ("line",), True, False

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.recurrent = Recurrent(spec.space[0], 4, bidirectional=self.ways)
        self.levels = (Level(self.recurrent.outputs, (), 1),)

    def forward(self, seq: Seq, state: Any = None) -> Features:
        y, state = self.recurrent(seq.x.flatten(2), state)
        return Features((Seq(y, seq.lengths),), state)


class BothWays(OneWay):
    """Says so, too."""

    ways = True


class Forgetful(OneWay):
    """Sees the past alone, but carries nothing on."""

    def forward(self, seq: Seq, state: Any = None) -> Features:
        return Features(super().forward(seq).levels, None)


CAUSAL: list[Any] = [OneWay, *(name for name, model in MODELS.items() if getattr(model, "causal", False))]


def encoder_of(name: Any, tiny: Tiny) -> tuple[Any, Tensor]:
    """An encoder in ``eval()`` and one sample, twelve of its steps long."""
    model = "crnn" if isinstance(name, type) else name
    made = tiny(model, *next((t, k) for m, k, t in ALL if m == model))
    encoder = (name(made.kind.spec) if isinstance(name, type) else made.net.encoder).eval()
    return encoder, torch.rand(1, 12 * encoder.levels[-1].stride, made.kind.spec.channels, *made.kind.spec.space)


def check_stream(encoder: Any, x: Tensor) -> None:
    """Pieces with carried state equal the whole."""
    stride, state, found = encoder.levels[-1].stride, None, []
    for piece in x.split([5 * stride, stride, 6 * stride], dim=1):
        features = encoder(Seq(piece, torch.tensor([piece.shape[1]])), state)
        state = features.state
        found.append(features.last.x)
    whole = encoder(Seq(x, torch.tensor([x.shape[1]]))).last.x
    torch.testing.assert_close(torch.cat(found, dim=1), whole, rtol=1e-5, atol=1e-5)


def check_causality(encoder: Any, x: Tensor) -> None:
    """No output has a gradient from inputs after it, and each has one from before."""
    x = x.clone().requires_grad_()
    stride = encoder.levels[-1].stride
    y = encoder(Seq(x, torch.tensor([x.shape[1]]))).last.x
    for t in range(y.shape[1]):
        (gradient,) = torch.autograd.grad(y[:, t].square().sum(), x, retain_graph=True)
        assert not gradient[:, (t + 1) * stride :].any(), f"output {t} sees the future"
        assert gradient[:, : (t + 1) * stride].any(), f"output {t} sees nothing"


@pytest.mark.parametrize("name", CAUSAL)
def test_stream_pieces_equal_the_whole(name: Any, tiny: Tiny) -> None:
    check_stream(*encoder_of(name, tiny))


@pytest.mark.parametrize("name", CAUSAL)
def test_causality_no_output_sees_the_future(name: Any, tiny: Tiny) -> None:
    check_causality(*encoder_of(name, tiny))


def test_these_two_laws_catch_who_breaks_them(tiny: Tiny) -> None:
    with pytest.raises(AssertionError, match="sees the future"):
        check_causality(*encoder_of(BothWays, tiny))
    for liar in (BothWays, Forgetful):
        with pytest.raises(AssertionError, match="not close"):
            check_stream(*encoder_of(liar, tiny))


# 4 lengths


def choices() -> list[tuple[str, str, str, dict[str, Any]]]:
    """Each model with each kind that it reads, and with each other value of its settings that have a few values to
    choose from."""
    found: list[tuple[str, str, str, dict[str, Any]]] = []
    for name, model in MODELS.items():
        readers = list({k: (name, k, t) for m, k, t in ALL[::-1] if m == name}.values())
        found += [(*reader, {}) for reader in readers]
        for key, hint in get_type_hints(model.Settings).items():
            if get_origin(hint) is Literal:
                others = [v for v in get_args(hint) if v != getattr(model.Settings(), key)]
                found += [(*readers[-1], {key: v}) for v in others]
    return found


@pytest.mark.parametrize(("model", "kind", "task", "other"), choices())
def test_lengths_that_come_out_are_those_foretold(
    model: str, kind: str, task: str, other: dict[str, Any], tiny: Tiny
) -> None:
    made = tiny(model, task, kind, **other)
    net, spec_x = made.net.eval(), pieces(made, [80]).x
    stride = net.encoder.levels[-1].stride
    # of other settings: every short length, and longer ones of every remainder
    some = sorted({*range(1, 4 * stride + 1), *range(1, 81, 7)} & set(range(1, 81))) if other else range(1, 81)
    with torch.no_grad():
        for length in some:
            given = torch.tensor([length])
            y, found = net.encoder(Seq(spec_x[:, :length], given)).last
            assert y.shape[1] == found.item() == net.encoder.out_lengths(given).item() > 0, f"at {length}"
            assert y.shape[2] == net.encoder.levels[-1].channels
        steps = net.encoder.out_lengths(torch.tensor([10 * stride, 20 * stride]))
        assert (steps[1] - steps[0]).item() == 10, "the stride is what it says"


@every_reader
def test_lengths_need_no_order_and_what_lies_behind_is_zero(model: str, kind: str, task: str, tiny: Tiny) -> None:
    made = tiny(model, task, kind)
    net = made.net.eval()
    inputs = pieces(made, [9, 70, 1, 33, 70], filling=0)
    with torch.no_grad():
        y, lengths = net.encoder(inputs).last
    assert lengths.tolist() == net.encoder.out_lengths(inputs.lengths).tolist()
    assert y.shape[1] >= int(lengths.max())
    assert not y[~mask(lengths, y.shape[1])].any()


# 5 round trip


@every_combination
def test_round_trip_gives_the_same_bits(
    model: str, kind: str, task: str, tiny: Tiny, samples: Made, tmp_path: Path
) -> None:
    before = tiny(model, task, kind)
    batch = batch_of(before, samples(task, kind))
    wake(before.net, batch.inputs)
    before.card = {"licence": "CC0", "valid": {"cer": 0.25}, "source": "Straße 東"}
    before.save(tmp_path / "a.safetensors")
    after = bundles.load(tmp_path / "a.safetensors")
    assert not after.net.training
    assert after.description() == before.description()
    states = [b.net.state_dict() for b in (before, after)]
    assert {k: v.dtype for k, v in states[0].items()} == {k: v.dtype for k, v in states[1].items()}
    assert all(torch.equal(v, states[1][k]) for k, v in states[0].items())
    with torch.no_grad():
        for here, there in zip(*(b.task.predict(b.net, batch) for b in (after, before)), strict=True):
            assert replace(here, value=None) == replace(there, value=None)
            assert np.array_equal(here.value, there.value) if isinstance(here.value, np.ndarray) else here == there
    after.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@every_reader
def test_half_of_the_size_loads_too(model: str, kind: str, task: str, tiny: Tiny, tmp_path: Path) -> None:
    before = tiny(model, task, kind)
    wake(before.net, pieces(before))
    before.save(tmp_path / "whole.safetensors")
    before.save(tmp_path / "half.safetensors", half=True)
    after = bundles.load(tmp_path / "half.safetensors")
    state = after.net.state_dict()
    for key, value in before.net.state_dict().items():
        found = state[key]
        assert found.dtype == value.dtype and torch.equal(found, value.half().to(value.dtype)), key
    half, whole = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "whole"))
    numbers = sum(value.numel() for value in state.values() if value.is_floating_point())
    assert whole - half > 1.9 * numbers, "two bytes of four, each"


# 9 parameters


@pytest.mark.parametrize(
    ("model", "height", "outputs", "published"),
    [("crnn_vgg", 32, 37, 8_331_301), ("crnn_htr", 128, 80, 9_591_728)],
)
def test_parameters_are_those_of_the_paper(model: str, height: int, outputs: int, published: int) -> None:
    letters = "".join(chr(0x100 + i) for i in range(outputs - 1))
    task = TASKS["transcribe"].restore(TASKS["transcribe"].Settings(), {"letters": letters})
    with torch.device("meta"):
        net = build(task, {"name": "line", "height": height}, {"name": model}).net
    assert sum(p.numel() for p in net.parameters()) == published


# 10 nothing dead


@every_combination
def test_every_parameter_receives_a_gradient(model: str, kind: str, task: str, tiny: Tiny, samples: Made) -> None:
    net = tiny(model, task, kind)
    batch = batch_of(net, samples(task, kind))
    wake(net.net, batch.inputs)
    for training in (False, True):  # in training a bias under a norm has none by its nature, so this asks eval()
        net.net.train(training)
        net.net.zero_grad()
        net.task.loss(net.net, batch).backward()
        for name, parameter in net.net.named_parameters():
            assert parameter.grad is not None, f"{name} is not reached"
            assert torch.isfinite(parameter.grad).all(), f"{name} has a gradient that is not finite"
            assert training or parameter.grad.abs().max() > 1e-9, f"{name} is dead"


# what else the registries promise


@pytest.mark.parametrize("owner", [*MODELS.values(), *TASKS.values(), *INPUTS.values()])
def test_every_setting_says_what_it_is(owner: Any) -> None:
    settings = [owner.Settings, *([owner.Augment] if hasattr(owner, "Augment") else [])]
    for cls in settings:
        assert all(documented(cls).get(name) for name in cls.__dataclass_fields__), cls.__qualname__


@every_model
def test_models_can_do_something_and_what_they_cannot_is_refused(model: str) -> None:
    able = {(kind, task) for m, kind, task in ALL if m == model}
    assert able, "a model that no task can use with any kind of input"
    for kind in INPUTS:
        for task in TASKS:
            refused = refusal(model, TASKS[task], {"": kind})
            assert (refused is None) == ((kind, task) in able)
            assert refused is None or (kind in str(refused) and "expected one of its kinds: " in str(refused))


def test_every_kind_and_task_has_its_made_set(made_kinds: set[str]) -> None:
    assert made_kinds == set(INPUTS), "draw a source of each kind in conftest.DRAWN"


@every_kind
def test_inputs_are_what_they_say_they_are(kind: str, task: str, tiny: Tiny, samples: Made) -> None:
    model = next(m for m, k, t in ALL if (k, t) == (kind, task))
    seen = tiny(model, task, kind).kind
    spec = seen.spec
    for sample in samples(task, kind)[:5]:
        assert INPUTS[kind].reads(sample.x)
        decoded = seen.decode(sample.x)
        assert np.array_equal(decoded, seen.decode_scaled(sample.x)[0])
        x = seen.finish(decoded)
        assert x.dtype == (np.int64 if spec.vocabulary else np.float32) and np.isfinite(x).all()
        assert x.shape == (seen.steps(sample.x), spec.channels, *spec.space)
        assert decoded.shape[seen.time] == len(x)
        twice = [seen.vary(decoded, None, seen.Augment(share=1.0), np.random.default_rng(5))[0] for _ in range(2)]
        assert np.array_equal(*twice), "variations depend on the generator alone"
        assert seen.finish(twice[0]).shape[1:] == x.shape[1:]
        views = seen.views(decoded)
        assert len(views) == seen.view_count and seen.finish(views[0]).shape == x.shape
        look = seen.look(sample.x)
        assert look.steps == len(x) and look.digest == seen.look(sample.x).digest
        picture = seen.picture(sample.x)
        assert picture is None or picture.startswith(b"\x89PNG")


@every_kind
def test_what_a_kind_learned_is_restored(kind: str, task: str, tiny: Tiny, samples: Made) -> None:
    model = next(m for m, k, t in ALL if (k, t) == (kind, task))
    seen = tiny(model, task, kind).kind
    again = type(seen).restore(seen.settings, json.loads(json.dumps(seen.learned())))
    assert again.spec == seen.spec and again.learned() == seen.learned()
    x = samples(task, kind)[0].x
    assert np.array_equal(again.finish(again.decode(x)), seen.finish(seen.decode(x)))
    assert isinstance(type(seen).restore(seen.settings, {}).spec, InputSpec), "also before anything is learned"


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("suffix", [".png", ".gt.txt", ".csv", ".jsonl", ".tsv", ".parquet", ".xml", ""])
def test_formats_answer_rubbish_with_errors_that_users_can_read(name: str, suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").write_bytes(np.random.default_rng(0).bytes(300))
    (tmp_path / f"b{suffix}").write_bytes(b"")
    for path in (tmp_path, tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"):
        assert isinstance(FORMATS[name].recognise(path), bool)
        try:
            samples = open_data(path, name, [])
        except CrnnError:
            continue
        assert all(isinstance(s, Sample) for s in samples)
        believed = suffix == ".png" and name in ("pictures", "files", "label_maps")
        assert believed, "only a picture's name is believed without a look"
