"""The benchmarks: peers compute what ours compute, and the table says what was measured. Nothing is timed."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import io
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from crnn.layers import ConvGRU, ConvLSTM, Recurrent

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
BESIDE = ("benchmarks", "recipes/prepare", "docs", "examples")
PROGRAMS = sorted(path for name in BESIDE for path in (FOLDER.parent / name).glob("*.py"))


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of the folder, which is no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import adding_problem
    import layers
    import layers_parts
    import layers_peers
    import layers_timing

    return SimpleNamespace(
        adding=adding_problem, layers=layers, parts=layers_parts, peers=layers_peers, timing=layers_timing
    )


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_programs_beside_the_package_import_what_there_is(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "crnn":
            module = importlib.import_module(str(node.module))
            for name in node.names:
                there = hasattr(module, name.name) or importlib.util.find_spec(f"{node.module}.{name.name}")
                assert there, f"{path.name} wants {name.name} of {node.module}"


def row(benchmarks: Any, layer: str, precision: str, *, work: str = "forward + backward", **times: float) -> Any:
    shape = "D: T20"
    return benchmarks.timing.Row(layer=layer, shape=shape, work=work, precision=precision, **times)


def test_the_usual_convlstm_and_the_loop_over_our_grus_equations_compute_what_ours_do(benchmarks: Any) -> None:
    x = torch.randn(2, 3, 2, 5, 4)
    ours, usual = ConvLSTM(2, 3, peepholes=False), benchmarks.peers.UsualConvLSTM(2, 3, 3)
    usual.take(ours.layers[0])
    torch.testing.assert_close(ours(x)[0], usual(x))
    gru, same = ConvGRU(2, 3), benchmarks.peers.SameConvGRU(2, 3, 3)
    same.take(gru.layers[0])
    torch.testing.assert_close(gru(x)[0], same(x))
    assert benchmarks.peers.UsualConvGRU(2, 3, 3)(x).shape == gru(x)[0].shape


@pytest.mark.parametrize("layers", [1, 2])
def test_packed_lstm_computes_what_ours_does(benchmarks: Any, layers: int) -> None:
    ours = Recurrent(3, 4, layers=layers, bidirectional=True)
    x, lengths = torch.randn(3, 6, 3), torch.tensor([4, 6, 1])
    torch.testing.assert_close(ours(x, None, lengths)[0], benchmarks.peers.PackedLSTM(ours, layers)(x, lengths))


def test_a_contestant_is_not_equal_to_another_that_computes_something_else(benchmarks: Any) -> None:
    x = torch.ones(3)
    benchmarks.parts.equal(x, x + 1e-5, "itself")
    for other in (x + 0.1, x * math.nan):
        with pytest.raises(SystemExit, match="results differ"):
            benchmarks.parts.equal(other, x, "another")


def test_contestants_take_turns_and_the_median_counts(benchmarks: Any) -> None:
    calls: list[str] = []
    times = benchmarks.timing.race({name: lambda name=name: calls.append(name) for name in "ab"}, 3)
    assert calls == ["a", "b"] * 4 and times.keys() == {"a", "b"}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_ceiling_convolves_every_frame_in_each_layout(benchmarks: Any, precision: str) -> None:
    convolution = benchmarks.timing.Convolution(16, 2, 4, 3, (5, 4))
    assert convolution.flops(benchmarks.timing.TRAINING) == 3 * 2 * 16 * 20 * 2 * 4 * 9
    for work in benchmarks.timing.WORKS:
        contestants = convolution.contestants(work, precision)
        assert len(contestants) == 4
        for run in contestants.values():
            run()
        times = {name: float(i) for i, name in enumerate(contestants, start=1)}
        assert benchmarks.timing.at_best({**times, f"ours {precision}": 0.5}, precision) == 1.0


def test_claims_are_the_worst_of_their_kind(benchmarks: Any) -> None:
    rows = [
        row(benchmarks, "ConvLSTM", "float32", ours=10, usual=15, keras=40, ceiling=5),
        row(benchmarks, "ConvLSTM", "bfloat16", ours=4, usual=8, keras=12, ceiling=3),
        row(benchmarks, "ConvGRU", "float32", ours=10, usual=11),
        row(benchmarks, "ConvGRU (same equations)", "float32", ours=10, usual=12),
        row(benchmarks, "BiLSTM", "float32", ours=2, usual=5),
        row(benchmarks, "RCL, LRN", "float32", ours=2, usual=3),
        row(benchmarks, "RCL, batch norm", "float32", ours=2, usual=2.5),
        row(benchmarks, "RCL, LRN", "float32", work="forward", ours=2, usual=1.8),
        row(benchmarks, "MDLSTM", "float32", ours=1, usual=30),
        row(benchmarks, "ConvLSTM, recompute", "float32", ours=12, usual=10),
        row(benchmarks, "RCL, recompute", "float32", ours=15, usual=10),
    ]
    memory = {
        "ConvLSTM, float32, plain": {"peak_mb": 100.0, "held_mb": 80.0},
        "ConvLSTM, float32, recompute": {"peak_mb": 40.0, "held_mb": 20.0},
        "the usual ConvLSTM, float32": {"peak_mb": 200.0, "held_mb": 150.0},
    }
    assert benchmarks.layers.metrics(rows, memory, "bfloat16") == pytest.approx(
        {
            "convlstm_vs_pattern_min": 1.5,
            "convlstm_vs_keras_min": 10.0,
            "convlstm_vs_fastest_keras_min": 3.0,
            "convlstm_share_of_ceiling": 0.75,
            "convgru_vs_pattern_min": 1.1,
            "bilstm_vs_packed_min": 2.5,
            "rcl_vs_loop": 1.25,
            "rcl_vs_loop_forward": 0.9,
            "mdlstm_vs_loop": 30.0,
            "recompute_time": 1.2,
            "rcl_recompute_time": 1.5,
            "recompute_memory": 0.2,
            "recompute_memory_vs_own": 0.4,
            "recompute_memory_held_vs_own": 0.25,
        }
    )


def test_the_table_leaves_blank_what_was_not_measured(benchmarks: Any) -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    rows = [
        row(benchmarks, "ConvLSTM", "float32", ours=1234.5, usual=2469.0, ceiling=1000.0, flops=1e12),
        row(benchmarks, "MDLSTM", "float32", ours=0.5),
    ]
    console.print(benchmarks.layers.table(rows))
    shown = console.export_text()
    assert "1,234" in shown and "2.00" in shown and "81 %" in shown and "None" not in shown
    assert rows[0].figures()["ceiling_tflops"] == 1.0
    assert rows[1].figures() == {"ours_ms": 0.5}


def test_the_adding_problem_asks_for_the_sum_of_the_marked(benchmarks: Any) -> None:
    x, wanted = benchmarks.adding.draw(8, 10, torch.Generator().manual_seed(0))
    numbers, marks = x.unbind(-1)
    assert x.shape == (8, 10, 2) and (marks[:, :5].sum(1) == 1).all() and (marks[:, 5:].sum(1) == 1).all()
    torch.testing.assert_close((numbers * marks).sum(1), wanted)


def test_means_of_the_last_values(benchmarks: Any) -> None:
    assert benchmarks.adding.smooth([1.0, 3.0, 5.0, 7.0], 2) == [1.0, 2.0, 4.0, 6.0]


@pytest.mark.parametrize("i", range(4))
def test_the_gradient_of_a_state_is_a_share_of_that_of_the_last(benchmarks: Any, i: int) -> None:
    net = benchmarks.adding.Adder(benchmarks.adding.KINDS[i])
    shares = benchmarks.adding.flow(net, 6)
    assert len(shares) == 6 and shares[0] == 1.0 and all(share > 0 for share in shares)


def test_a_rotation_times_more_than_one_lets_the_gradient_grow(benchmarks: Any) -> None:
    torch.manual_seed(0)
    assert benchmarks.adding.flow(benchmarks.adding.Adder(benchmarks.adding.EXPLODING), 30)[-1] > 2
