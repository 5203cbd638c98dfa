import json
import math

import pytest
import torch

from runs.bench import __main__ as bench
from runs.bench import peers
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


ROWS = [
    {
        "variant": "gru",
        "steps": 1,
        "batch": 1,
        "units": 32,
        "fused": 9.0,
        "native": 1.0,
        "native_lstm": 1.0,
        "products": 1.0,
        "eager": 1.0,
    },
    {
        "variant": "gru",
        "steps": 1,
        "batch": 2,
        "units": 32,
        "fused": 1.0,
        "native": 2.0,
        "native_lstm": 3.0,
        "products": 0.1,
        "eager": 9.0,
    },
    {
        "variant": "gru",
        "steps": 1,
        "batch": 2,
        "units": 128,
        "fused": 1.0,
        "native": 8.0,
        "native_lstm": 3.0,
        "products": 0.5,
        "eager": 2.0,
    },
]


def test_the_summary_takes_geometric_means_over_sizes_with_several_sequences():
    (row,) = bench.summary(ROWS)
    assert row == pytest.approx(
        {"variant": "gru", "control": "native_gru", "nn.LSTM": 3.0, "native": 4.0, "eager": 9.0, "limit": 0.5}
    )


def test_sizes_at_which_a_variant_is_slower_than_its_control_are_named():
    assert bench.slower(ROWS) == ["gru T=1 B=1 N=32: 0.11 of native_gru"]


def test_slow_sizes_get_fewer_turns_but_three():
    calls = []
    bench.measure({"one": lambda: calls.append(1)}, turns=50, seconds=0.0)
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
        bench.Size(steps=3, batch=2, units=16),
        max(1, Cell.registry[name].min_layers),
    )
    counted = []

    def mm(left, right, out=None):
        counted.append(left.shape[0] * left.shape[1] * right.shape[1])
        return torch.empty(0)

    step = bench.products(cell, layers, size)
    monkeypatch.setattr(torch, "mm", mm)
    step()
    module = build(cell, bench.INPUTS, 16, layers=layers)
    weights = {n: p.numel() for n, p in module.named_parameters() if p.dim() == 2}
    first = "project." if cell.projects_input else "parts.0.W"
    of_input = sum(n for name, n in weights.items() if name.startswith(first))
    assert sum(counted) == 6 * (3 * sum(weights.values()) - of_input)


@pytest.mark.slow
def test_peers_compute_what_they_are_held_against():
    pytest.importorskip("jax", reason="the extra `peers` is not installed")
    for name in peers.JAX:
        gradient = peers.functions(name, 3, 2, 4, 5)["jax"]()
        assert all(math.isfinite(float(v.sum())) for v in gradient.values())
