import json
import math
from typing import NamedTuple

import pytest
import torch

from runs.bench import __main__ as bench
from runs.bench import peers, report, scan
from runs.bench.measure import INPUTS, Measurement, Size, control_of, measured, medians, products
from runs.bench.options import Settings, options
from variants import Cell, build


def test_the_benchmark_writes_what_it_measured(tmp_path, capsys):
    arguments = [
        "--variants",
        "gru",
        "grid",
        "--turns",
        "1",
        "--units",
        "5",
        "--steps",
        "3",
        "--batches",
        "2",
        "--output",
        str(tmp_path),
    ]
    assert bench.main(arguments) == 0
    found = json.loads((tmp_path / "bench.json").read_text())
    assert [(r["variant"], r["steps"], r["batch"], r["units"]) for r in found["rows"]] == [
        ("gru", 3, 2, 5),
        ("grid", 3, 2, 5),
    ]
    assert all({"fused", "native", "native_lstm", "products", "eager"} <= r.keys() for r in found["rows"])
    assert (tmp_path / "bench.png").stat().st_size > 0
    assert "| `gru` |" in (tmp_path / "bench.md").read_text()
    assert "torch's BLAS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--variants", "foo"], "unknown variant 'foo'"),
        (["--variants", "native_lstm"], "unknown variant 'native_lstm'"),
        (["--turns", "0"], "turns must be at least 1, got 0"),
        (["--units", "8", "0"], "units must be at least 1, got 0"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message, capsys):
    assert bench.main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


def measurement(batch, units, fused, native, lstm, limit, eager):
    seconds = {"fused": fused, "native": native, "native_lstm": lstm, "products": limit, "eager": eager}
    return Measurement("gru", Size(1, batch, units), seconds)


MEASUREMENTS = [
    measurement(1, 32, 9.0, 1.0, 1.0, 1.0, 1.0),
    measurement(2, 32, 1.0, 2.0, 3.0, 0.1, 9.0),
    measurement(2, 128, 1.0, 8.0, 3.0, 0.5, 2.0),
]


def test_the_summary_takes_geometric_means_over_sizes_with_several_sequences():
    (found,) = report.summary(MEASUREMENTS)
    assert found.row() == pytest.approx(
        {"variant": "gru", "control": "native_gru", "nn.LSTM": 3.0, "native": 4.0, "eager": 9.0, "limit": 0.5}
    )


def test_sizes_at_which_a_variant_is_slower_than_its_control_are_named():
    assert report.slower(MEASUREMENTS) == ["gru T=1 B=1 N=32: 0.11 of native_gru"]


def test_the_table_has_a_line_for_each_variant_with_its_control():
    assert report.table(MEASUREMENTS).splitlines()[2] == "| `gru` | 3.00 | 4.00 (`native_gru`) | 9.0 | 0.50 |"


def test_a_line_on_the_screen_compares_with_the_fused_engine_and_names_other_libraries():
    found = MEASUREMENTS[1]._replace(seconds={**MEASUREMENTS[1].seconds, "jax": 1.5})
    assert report.line(found).split() == [
        "gru",
        "1",
        "2",
        "32",
        "1000.00",
        "2.00",
        "3.00",
        "0.10",
        "9.00",
        "jax",
        "1.5",
    ]


def test_what_a_benchmark_prints_fits_a_terminal():
    found = MEASUREMENTS[1]._replace(seconds={**MEASUREMENTS[1].seconds, "jax": 1.5, "compile": 2.0})
    printed = [report.head(), report.line(found), report.shown(MEASUREMENTS, 80)]
    assert [line for text in printed for line in text.splitlines() if len(line) > 80] == []


def test_the_summary_on_the_screen_has_the_numbers_of_the_table():
    assert report.shown(MEASUREMENTS, 80).splitlines()[-1].split() == [
        "gru",
        "3.00",
        "4.00",
        "9.0",
        "0.50",
        "native_gru",
    ]


CONTROLS = {
    "native_rnn": {"rnn", "irnn", "clockwork", "cornn", "antisymmetric_rnn", "fast_grnn", "indrnn"},
    "native_gru": {
        *("gru", "gru_reset_after", "mut1", "mut2", "mut3", "cfn", "strongly_typed", "rg_lru", "min_gru", "min_lstm"),
        *("mgu", "ugrnn", "li_gru", "janet", "star", "slstm"),
    },
}


@pytest.mark.parametrize("name", sorted(n for n, c in Cell.registry.items() if not c.control))
def test_a_cell_is_compared_with_the_control_that_remembers_as_much(name):
    expected = next((control for control, names in CONTROLS.items() if name in names), "native_lstm")
    assert control_of(Cell.registry[name]()) == expected


def test_the_control_does_not_depend_on_the_names_of_a_cell():
    class Renamed(Cell.registry["vanilla"]):
        class State(NamedTuple):
            out: torch.Tensor
            memory: torch.Tensor

    assert control_of(Renamed()) == "native_lstm"


def test_a_width_that_a_cell_cannot_have_is_an_error_of_its_measurement():
    with pytest.raises(ValueError, match="clockwork: hidden_size must be divisible"):
        measured("clockwork", Size(3, 2, 5), Settings())


def test_slow_sizes_get_fewer_turns_but_three():
    calls = []
    medians({"one": lambda: calls.append(1)}, turns=50, seconds=0.0)
    assert len(calls) == 1 + 3


def test_a_folder_that_cannot_be_written_is_told_before_the_work(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert bench.main(["--quick", "--output", str(tmp_path / "file")]) == 2
    assert capsys.readouterr() == ("", f"error: --output: cannot write into {tmp_path / 'file'}: File exists\n")


@pytest.mark.parametrize("name", sorted(n for n, c in Cell.registry.items() if not c.control))
def test_the_limit_counts_every_product_of_a_training_step(name, monkeypatch):
    """Twice as many operations as a forward pass has weights for the forward pass, four times for the backward pass but
    dx of the input.
    """
    cell, size, layers = (
        Cell.registry[name](),
        Size(steps=3, batch=2, units=16),
        max(1, Cell.registry[name].min_layers),
    )
    counted = []

    def mm(left, right, out=None):
        counted.append(left.shape[0] * left.shape[1] * right.shape[1])
        return torch.empty(0)

    step = products(cell, layers, size)
    monkeypatch.setattr(torch, "mm", mm)
    step()
    module = build(cell, INPUTS, 16, layers=layers)
    weights = {n: p.numel() for n, p in module.named_parameters() if p.dim() == 2}
    first = "project." if cell.projects_input else "parts.0.W"
    of_input = sum(n for name, n in weights.items() if name.startswith(first))
    assert sum(counted) == 6 * (3 * sum(weights.values()) - of_input)


@pytest.mark.slow
def test_peers_compute_what_they_are_held_against():
    pytest.importorskip("jax", reason="the extra `peers` is not installed")
    for name in scan.GATES:
        gradient = peers.functions(name, 3, 2, 4, 5)["jax"]()
        assert all(math.isfinite(float(v.sum())) for v in gradient.values())


def test_an_argument_that_is_empty_is_one_line(capsys):
    with pytest.raises(SystemExit, match="2"):
        options().parse_args([""])
    assert capsys.readouterr().err == "error: unrecognized arguments: ; --help lists the options\n"
