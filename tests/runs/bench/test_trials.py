import json
import math
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from runs.bench import __main__ as bench
from runs.bench import floor, jax_trial, plain, scan, trial_report, trials
from runs.bench.against import ROOT, SCRIPT, Worker, checkout
from runs.bench.measure import Size
from runs.bench.trials import Case, Measured, Spread, Times, cases, in_turns, ours, stamps, taken_apart, trial_of
from runs.networks.building import untrained
from runs.trial.classes import construct
from runs.trial.data import batches
from runs.trial.training import run
from runs.trial.trial import Training
from tasks import Task
from variants import Cell, build

PIECES = {"forward": 0.5, "ending": 0.1, "backward": 0.25, "finish": 0.1, "update": 1.0}
SMALL = Case("vanilla", "adding", Size(steps=7, batch=3, units=5))
NAMES = sorted(n for n, c in Cell.registry.items() if not c.control)


def never():
    return False


def call(monkeypatch, capsys, *arguments):
    """Exit code, output and errors of the command with contestants that do nothing but let their clock run."""
    monkeypatch.setattr(bench, "contestants", lambda case, others: {"ours": fake(0.001), "plain": fake(0.003)})
    code = bench.main(["--trials", *map(str, arguments)])
    return code, *capsys.readouterr()


def moments(training, update, look, start=0.0, end=0.0):
    """The moments of a run in which every update and every look takes as long as the others."""
    found = [start, start + look]
    looks = {k * training.updates // training.evaluations for k in range(training.evaluations + 1)}
    for step in range(1, training.updates + 1):
        found.append(found[-1] + update + (look if step in looks else 0.0))
    found[-1] += end
    return found


def fake(update):
    return lambda trial: moments(trial.training, update, look=0.01, end=0.05)


# What is timed
# ----------------------------------------------------------------------------------------------------------------


def test_a_run_is_taken_apart_into_updates_looks_and_the_rest():
    training = Training(budget=32, evaluations=4)
    found = taken_apart(moments(training, update=0.002, look=0.03, start=9.0, end=0.5), training)
    assert found == pytest.approx((0.002, 0.03, 0.5 + 2 * 0.03))


def test_the_first_update_is_not_in_the_mean_and_what_it_takes_longer_is_in_the_rest():
    training = Training(budget=32, evaluations=4)
    late = [m + (1.0 if k > 1 else 0.0) for k, m in enumerate(moments(training, update=0.002, look=0.03))]
    assert taken_apart(late, training) == pytest.approx((0.002, 0.03, 1.0 + 2 * 0.03))


def test_a_run_without_a_moment_for_every_update_is_refused():
    with pytest.raises(ValueError, match="a run of 32 updates must have 34 moments, got 33"):
        taken_apart(list(range(33)), Training(budget=32, evaluations=4))


def test_a_trial_has_two_thousand_updates_and_forty_one_looks_of_which_two_are_in_the_rest():
    assert Times(update=0.001, evaluation=0.01, rest=0.5).trial == pytest.approx(2 + 39 * 0.01 + 0.5)


@pytest.mark.parametrize("contestant", [ours, plain.plain])
def test_every_update_of_a_contestant_has_its_moment(contestant):
    found = stamps(contestant, trial_of(SMALL, 6))
    assert len(found) == 6 + 2
    assert found == sorted(found)


def test_contestants_run_in_turns_and_every_second_turn_goes_the_other_way():
    calls = []

    def named(name):
        return lambda trial: calls.append(name) or fake(1.0)(trial)

    found = in_turns({"a": named("a"), "b": named("b")}, SMALL, turns=3, seconds=1e9)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"  # once before
    assert {name: len(times) for name, times in found.turns.items()} == {"a": 3, "b": 3}


def test_a_run_has_as_many_updates_as_fit_into_its_turn_but_32():
    runs = {"a": fake(0.001), "b": fake(0.004)}
    assert in_turns(runs, SMALL, turns=4, seconds=2.0).updates == 96
    assert in_turns(runs, SMALL, turns=4, seconds=1e-9).updates == 32


def test_copying_is_measured_at_sixteen_steps_alone():
    found = cases(["gru"], steps=[7, 16], batches=[3], units=[5])
    assert [(c.task, c.size.steps) for c in found] == [("adding", 7), ("adding", 16), ("copying", 16)]


@pytest.mark.parametrize("case", cases(["vanilla"], steps=[7, 16], batches=[3], units=[5]))
def test_the_sequences_of_a_case_are_as_long_as_it_says(case):
    trial = trial_of(case, 4)
    assert next(batches(construct(trial.task, Task), trial)).inputs.shape[:2] == case.size[:2]


def test_a_trial_that_ends_early_is_no_measurement(monkeypatch):
    monkeypatch.setattr(trials, "run", lambda trial, stopping: run(trial, stopping=lambda: 1 / 0))
    with pytest.raises(ValueError, match="the trial failed after 0 updates ZeroDivisionError"):
        ours(trial_of(SMALL, 4), never)


# The contestants do the same work
# ----------------------------------------------------------------------------------------------------------------


def losses_of_ours(trial):
    """The loss of each update; with a look after each of them, the mean since the look before is that of one."""
    return run(trial).train_losses[1:]


def looking_always(case):
    trial = trial_of(case, 10)
    return trial.from_dict({**trial.as_dict(), "training": {**vars(trial.training), "evaluations": 10}})


def parts(trial):
    """The blocks of the cell of a trial as it starts, by names such as `W_z`, and its read-out."""
    network, _ = untrained(trial)
    found = {name.rpartition(".")[2]: p.detach() for name, p in network.recurrent.named_parameters()}
    return found, network.readout


def joined(blocks, kind, gates):
    return torch.cat([blocks[f"{kind}_{gate}"] for gate in gates])


SAME = [Case(v, t, Size(s, 3, 5)) for v in ("vanilla", "rnn") for t, s in (("adding", 7), ("copying", 16))]


@pytest.mark.parametrize("case", SAME)
def test_the_plain_loop_has_the_losses_of_ours(case):
    trial = looking_always(case)
    task = construct(trial.task, Task)
    blocks, readout = parts(trial)
    learner = plain.Plain(case.variant, task, trial)
    module, order = learner.recurrent, {"vanilla": "ifzo", "rnn": Cell.registry["rnn"].gates}[case.variant]
    module.bias_hh_l0.requires_grad_(False).zero_()  # a second bias would be updated too
    with torch.no_grad():
        for name, kind in (("weight_ih_l0", "W"), ("weight_hh_l0", "R"), ("bias_ih_l0", "b")):
            getattr(module, name).copy_(joined(blocks, kind, order))
        learner.readout.load_state_dict(readout.state_dict())
    found = plain.follow(learner, task, trial, never)
    assert found == pytest.approx(losses_of_ours(trial), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [*SAME, Case("gru", "adding", Size(7, 3, 5)), Case("peephole", "copying", Size(16, 3, 5))]
)
def test_jax_has_the_losses_of_ours(case):
    pytest.importorskip("jax", reason="the extra `peers` is not installed")
    trial = looking_always(case)
    task = construct(trial.task, Task)
    blocks, readout = parts(trial)
    order = [getattr(gate, "name", gate) for gate in Cell.registry[case.variant].gates]
    p = {kind: joined(blocks, kind, order).numpy().T for kind in "WRb"}
    p["p"] = torch.stack([blocks.get(f"p_{gate}", torch.zeros(5)) for gate in "ifo"]).numpy()
    p |= {"V": readout.weight.detach().T.numpy(), "d": readout.bias.detach().numpy()}
    start = scan.start(case.variant, task.input_size, 5, task.output_size)
    compiled = jax_trial.Compiled(case.variant, case.task == "copying", 3e-3, 1.0)
    learner = jax_trial.Learner(compiled, {k: scan.load().numpy.asarray(p[k]) for k in start})
    found = plain.follow(learner, task, trial, never)
    assert found == pytest.approx(losses_of_ours(trial), abs=1e-5)


@pytest.mark.slow
def test_every_update_of_jax_has_its_moment():
    pytest.importorskip("jax", reason="the extra `peers` is not installed")
    trial = trial_of(SMALL, 6)
    assert len(stamps(jax_trial.contestant(trial), trial)) == 6 + 2


# Another checkout
# ----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_worker_runs_trials_of_a_checkout_and_says_why_one_failed():
    trial = trial_of(SMALL, 6)
    with Worker(checkout(ROOT)) as worker:
        found = worker.moments(trial)
        with pytest.raises(ValueError, match="the trial failed after 0 updates"):
            worker.moments(trial.from_dict({**trial.as_dict(), "task": {**trial.task, "lag": 1}}))
    assert len(found) == 6 + 2
    assert found == sorted(found)


def test_a_worker_whose_process_ended_is_one_line(tmp_path, capfd):
    with Worker(tmp_path) as worker, pytest.raises(ValueError, match="the process that runs its trials ended"):
        worker.moments(trial_of(SMALL, 6))


def test_a_worker_leaves_out_what_an_older_checkout_does_not_know(tmp_path):
    folder = tmp_path / "runs" / "trial"
    folder.mkdir(parents=True)
    for name in ("__init__.py", "trial/__init__.py"):
        (tmp_path / "runs" / name).touch()
    (folder / "trial.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Model:\n  hidden_size: int\n"
        "@dataclass\nclass Training:\n  budget: int\n"
        "class Trial:\n  @classmethod\n"
        "  def from_dict(cls, values):\n    raise ValueError(str((values['model'], values['training'])))\n"
    )
    (folder / "training.py").write_text("def run(): ...\ndef prepare_process(): ...\n")
    values = {"model": {"hidden_size": 5, "layers": 1}, "training": {"budget": 3, "loss": "sum"}}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)], input=json.dumps(values), capture_output=True, text=True
    )
    assert json.loads(done.stdout) == {"error": "({'hidden_size': 5}, {'budget': 3})"}


# The floor and the pieces
# ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_floor_counts_the_products_of_the_benchmark_of_kernels(name, monkeypatch):
    from runs.bench.measure import INPUTS, products

    cell = Cell.registry[name]()
    layers, counted = max(1, cell.min_layers), []

    def mm(left, right, out=None):
        counted.append(2 * left.shape[0] * left.shape[1] * right.shape[1])
        return torch.empty(0)

    step = products(cell, layers, Size(steps=7, batch=3, units=16))
    monkeypatch.setattr(torch, "mm", mm)
    step()
    assert floor.product_flops(build(cell, INPUTS, 16, layers=layers), 7, 3) == sum(counted)


def test_the_elementwise_instructions_of_a_plain_network_are_those_counted_by_hand():
    """Forward: the bias and the sum of the two products are part of the products; tanh. Backward: the sum of the
    derivatives at the output, and the slope.
    """
    module = build(Cell.registry["rnn"](), 4, 5)
    assert floor.elementwise_instructions(module, 7, 3) == 7 * 3 * 5 * (floor.SERIES + 3 + 2)


def test_the_floor_is_the_arithmetic_at_the_peak(monkeypatch):
    monkeypatch.setattr(floor, "peak", lambda: 1e3)
    trial = trial_of(SMALL, 6)
    recurrent = untrained(trial)[0].recurrent
    arithmetic = floor.product_flops(recurrent, 7, 3) + 2 * floor.elementwise_instructions(recurrent, 7, 3)
    assert floor.floor(trial, 7) == pytest.approx(arithmetic / 1e3)


def test_the_loop_of_the_peak_adds_up_what_it_should():
    """Sum k starts at k and becomes s * a + b, twice."""
    import ctypes

    from variants.engine.cpu import machine

    kind = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int64, ctypes.c_float, ctypes.c_float)
    sums = [(k * 2.0 + 1.0) * 2.0 + 1.0 for k in range(3)]
    assert kind(machine.load(floor.loop(4, 3), "peak"))(2, 2.0, 1.0) == sum(sums) + sums[0]  # the first is there twice


def test_the_pieces_of_an_update_run_one_after_the_other_in_every_round():
    calls = []
    pieces = {name: partial(calls.append, name) for name in PIECES}
    assert list(floor.piece_seconds(pieces, rounds=2)) == list(PIECES)
    assert calls == list(PIECES) * 2


# The report
# ----------------------------------------------------------------------------------------------------------------


def measured(case=SMALL, **updates):
    """Three turns in which a contestant takes as long for an update as it is said here, the later ones longer."""
    turns = {name: [Times(k * u, 0.0, 0.0) for u in (1.0, 1.0, 1.0)] for name, k in updates.items()}
    return Measured(case, 96, turns)


HERE = {"processor": "P", "python": "3", "versions": {"torch": "2"}, "peak": 2e11}


def test_the_ratio_is_that_of_the_same_turn():
    one, other = ([Times(u, 0.0, 0.0) for u in values] for values in ((1.0, 6.0, 100.0), (1.0, 2.0, 100.0)))
    found = Measured(SMALL, 32, {"plain": one, "ours": other})
    assert found.ratio("plain", "ours") == Spread(median=1.0, low=1.0, high=2.0)


def test_the_shares_of_an_update_are_those_of_its_kernels_and_of_its_floor():
    found = measured(ours=1.0)._replace(update_parts=PIECES, floor=0.3)
    assert trial_report.share_of_kernels(found) == pytest.approx(0.75)
    assert trial_report.share_of_floor(found) == pytest.approx(0.3)


def test_without_pieces_there_is_no_share_of_kernels():
    assert math.isnan(trial_report.share_of_kernels(measured(ours=1.0)))
    assert "kernels" not in trial_report.row(measured(ours=1.0))


def test_a_row_has_the_seconds_of_each_part_and_how_many_times_as_long_as_ours_a_trial_takes():
    found = trial_report.row(measured(ours=1.0, plain=4.0)._replace(update_parts=PIECES, floor=0.3))
    expected = {"variant": "vanilla", "task": "adding", "steps": 7, "batch": 3, "units": 5, "updates": 96, "turns": 3}
    expected |= {"plain_update": 4.0, "plain_times": 4.0, "ours_trial": 2000.0, "ours_forward": 0.5, "kernels": 0.75}
    assert expected.items() <= found.items()


def test_a_table_has_a_line_for_each_length_and_a_column_for_each_width():
    found = [measured(SMALL._replace(size=Size(7, 3, n)), ours=1.0, plain=k) for n, k in ((5, 2.0), (6, 4.0))]
    lines = trial_report.tables(found, HERE).splitlines()
    assert lines[0].endswith("peak of one core 200 GFLOP/s.")
    assert lines[4] == "| variant | task | T | batch | N = 5 | N = 6 |"
    assert lines[6] == "| `vanilla` | adding | 7 | 3 | 2.00 (2.00 to 2.00) | 4.00 (4.00 to 4.00) |"


def test_what_became_slower_than_before_is_named_from_three_percent_on():
    found = [measured(ours=now, before=1.0) for now in (1.02, 1.05)]
    assert trial_report.slower(found) == [
        "vanilla adding T=7 B=3 N=5: 1.05 (1.05 to 1.05) times as long as before",
    ]


def test_the_table_against_another_checkout_has_the_time_of_now_relative_to_it():
    assert "| 0.50 (0.50 to 0.50) |" in trial_report.tables([measured(ours=1.0, before=2.0)], HERE)


def test_a_line_on_the_screen_has_ratios_and_shares():
    found = measured(ours=0.001, plain=0.004)
    found = found._replace(
        turns={name: [t._replace(evaluation=0.5 * t.update) for t in times] for name, times in found.turns.items()},
        update_parts={name: 0.001 * share for name, share in PIECES.items()},
        floor=0.0003,
    )
    assert trial_report.line(found) == (
        "vanilla adding T=7 B=3 N=5: 1.000 ms an update; plain trial 4.00 (4.00 to 4.00), update 4.00, "
        "evaluation 4.00 times ours; kernels 75%; floor 30%"
    )


# The command
# ----------------------------------------------------------------------------------------------------------------


def test_the_command_writes_what_it_measured(monkeypatch, capsys, tmp_path):
    sizes = ("--steps", 7, 16, "--batches", 3, "--units", 5, 6, "--variants", "gru", "--output", tmp_path)
    code, out, err = call(monkeypatch, capsys, *sizes)
    assert (code, err) == (0, "")
    found = json.loads((tmp_path / "trials.json").read_text())
    assert [(r["task"], r["steps"], r["units"]) for r in found["rows"]] == [
        *(("adding", 7, 5), ("adding", 7, 6), ("adding", 16, 5), ("adding", 16, 6), ("copying", 16, 5)),
        ("copying", 16, 6),
    ]
    assert "| `gru` | copying | 16 | 3 |" in (tmp_path / "trials.md").read_text()
    assert (tmp_path / "trials.png").stat().st_size > 0
    assert "gru adding T=7 B=3 N=5: 1.000 ms an update; plain trial" in out


def test_a_width_that_a_cell_cannot_have_is_left_out_with_the_reason(monkeypatch, capsys, tmp_path):
    sizes = ("--steps", 7, "--batches", 3, "--units", 5, "--variants", "clockwork", "--output", tmp_path)
    code, _, err = call(monkeypatch, capsys, *sizes)
    assert code == 0
    assert err == "clockwork: hidden_size must be divisible by its 8 groups, got 5: left out\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "/"], "--against must be a checkout of this project, with runs/trial/training.py, got /"),
        (["--no-eager"], "--no-eager has no effect on trials"),
        (["--steps", "1"], "steps must be at least 2 with --trials, got 1"),
        (["--seconds", "0"], "seconds must be positive, got 0"),
        (["--seconds", "nan"], "seconds must be positive, got nan"),
        (["--against", str(Path(bench.__file__).parents[2]), "--peers"], "--peers has no effect with --against"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message, monkeypatch, capsys):
    code, out, err = call(monkeypatch, capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {message}")


def test_all_variants_are_held_against_another_checkout_and_few_against_the_plain_loop():
    assert bench.parse(["--against", str(ROOT)]).variants == [n for n in Cell.registry if n in NAMES]
    assert set(bench.parse(["--trials"]).variants) == set(bench.IN_TRIALS)


def test_sizes_are_those_of_trials_unless_others_are_given():
    given = bench.parse(["--trials", "--quick", "--units", "5"])
    assert (given.steps, given.batches, given.units) == ((16, 30), (32,), [5])


def test_torch_has_a_module_for_every_variant_of_the_plain_loop_and_jax_a_step():
    assert plain.MODULES.keys() <= set(NAMES)
    assert scan.GATES.keys() <= set(NAMES)
