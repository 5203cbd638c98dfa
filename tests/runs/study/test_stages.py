"""Stages after the search: what they consist of, that they are planned once, and that they are run as a search is."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from runs.record.mirror import Mirror
from runs.study.design import Design
from runs.study.finding import records
from runs.study.plan import Search
from runs.study.ranking import Result
from runs.study.stages import Confirm, Horizon, Stage
from runs.study.storage.opening import open_storage
from runs.study.study import Study
from runs.sweep import main
from runs.trial.trial import Outcome, Training
from runs.workers.actions import opened
from tests.runs.configuration.test_command_line import call as in_process
from tests.runs.conftest import make_design

ROOT = Path(__file__).resolve().parents[3]


def completed(storage, design, loss=lambda claim: (claim.index * 7 + len(claim.variant)) % 5 + 1.0):
    """The search of a design, complete, with made-up losses."""
    plan = Search(design) if isinstance(design, Design) else design
    study = Study.create(storage, plan, {"commit": "abc"})
    while (claim := study.claim()) is not None:
        study.finish(claim, Outcome(status="finished", validation_loss=loss(claim), test_loss=1.0))
    return study


def results(study):
    found = {pair: {} for pair in study.plan.pairs}
    for finished in study.finished_trials():
        found[finished.task, finished.variant][finished.index] = Result(finished.outcome.validation_loss)
    return found


def confirm(study, **knobs):
    return Stage.after(study.plan, Confirm(**{"block_size": 2, "repeats": 2} | knobs), results(study))


def horizon(study, **knobs):
    return Stage.after(study.plan, Horizon(**{"best": 2, "runs_per_lag": 3} | knobs), results(study))


@pytest.fixture
def search(storage):
    return completed(storage, make_design(points=5))


def claim_all(study):
    claims = []
    while (claim := study.claim()) is not None:
        claims.append(claim)
    return claims


@pytest.mark.parametrize(
    ("points", "count", "size"),
    [(200, 10, 20), (1000, 10, 100), (99, 10, 9), (50, 10, 5), (12, 2, 5), (3, 1, 3), (1, 1, 1)],
)
def test_points_make_at_most_ten_blocks_of_at_least_five(points, count, size):
    blocks = Confirm().partition(points)
    assert [len(b) for b in blocks] == [size] * count
    assert [p for b in blocks for p in b] == list(range(count * size))


def test_the_winner_of_a_block_has_its_lowest_loss_and_a_trial_without_loss_comes_last():
    found = dict(enumerate(map(Result, (None, 3.0, 0.5, 0.1, 0.7, 0.7, None, None))))
    assert Confirm(block_size=2).choose(found) == [1, 3, 4, 6, 3]


SOLVED = {0: Result(0.1), 1: Result(0.9, 300), 2: Result(0.8, 200), 3: Result(0.05), 4: Result(None), 5: Result(0.3)}


def test_solved_points_are_chosen_before_unsolved_ones_by_steps_to_solve():
    assert Confirm(block_size=3).choose(SOLVED) == [2, 3, 2]
    assert Horizon(best=4).choose(SOLVED) == [2, 1, 3, 0]


def test_where_training_goes_on_after_the_solution_loss_alone_chooses():
    assert Confirm(block_size=3).choose(SOLVED, by_steps=False) == [0, 3, 3]
    assert Horizon(best=4).choose(SOLVED, by_steps=False) == [3, 0, 5, 2]


@pytest.mark.parametrize(("stops", "chosen"), [(True, [1]), (False, [0])])
def test_a_stage_ranks_as_the_training_of_its_search_stops(stops, chosen):
    design = make_design(points=2, training=Training(stop_when_solved=stops, budget=6, evaluations=3))
    found = {pair: {0: Result(0.1), 1: Result(0.2, 3)} for pair in design.pairs}
    stage = Stage.after(Search(design), Horizon(best=1, runs_per_lag=1), found)
    assert stage.chosen["recall"]["gru"] == chosen


def test_runs_of_a_stage_have_the_same_seeds_at_all_levels_of_a_series(storage):
    nodes = {f"adding_{n}": {"_target_": "tasks.Adding", "label": f"adding_{n}", "lag": n} for n in (4, 8)}
    study = completed(storage, make_design(points=5, tasks=nodes, levels={"adding": tuple(nodes)}))
    for stage in (confirm(study), horizon(study)):
        trials = {t: [stage.planned(t, "gru", k).trial for k in range(stage.length)] for t in nodes}
        seeds = {
            t: {(trial.task["lag"], k % 3): (trial.seed, trial.data_seed) for k, trial in enumerate(own)}
            for t, own in trials.items()
        }
        if stage.stage == "confirm":
            short, long = ([(trial.seed, trial.data_seed) for trial in trials[t]] for t in nodes)
            assert short == long
            assert {trial.task["lag"] for trial in trials["adding_8"]} == {8}
        else:  # half, once, twice and four times the lag, with three runs at each
            shared = seeds["adding_4"].keys() & seeds["adding_8"].keys()
            assert shared == {(lag, run) for lag in (4, 8, 16) for run in range(3)}
            assert all(seeds["adding_4"][place] == seeds["adding_8"][place] for place in shared)


def test_a_confirmed_trial_is_that_of_the_search_but_for_its_seeds(search):
    stage = confirm(search)
    for task, variant in stage.pairs:
        for k in range(stage.length):
            ours = stage.planned(task, variant, k).trial
            theirs = search.plan.trial(task, variant, stage.point_of(task, variant, k))
            assert replace(ours, seed=0, data_seed=0) == replace(theirs, seed=0, data_seed=0)


def test_seeds_of_the_stages_are_fresh_and_shared_by_all_variants(search):
    design, plan = search.design, search.plan
    searched = {
        s
        for t, v in design.pairs
        for p in range(design.points)
        for s in (plan.trial(t, v, p).seed, plan.trial(t, v, p).data_seed)
    }
    fresh = []
    for stage in (confirm(search), horizon(search)):
        for task in design.tasks:
            for k in range(stage.length):
                trials = [stage.planned(task, v, k).trial for v in design.variants]
                pairs = {(trial.seed, trial.data_seed) for trial in trials}
                assert len(pairs) == 1
                fresh += pairs.pop()
    assert len(set(fresh)) == len(fresh)
    assert not set(fresh) & searched


@pytest.mark.parametrize(
    ("kind", "index", "purpose", "place"),
    [
        ("confirm", 0, "block/0", (0, 0)),
        ("confirm", 1, "block/1", (1, 0)),
        ("confirm", 3, "repeat/1", (-1, 1)),
        ("horizon", 0, "2/0", (-1, 0)),
        ("horizon", 5, "4/2", (-1, 2)),
    ],
)
def test_block_replicate_and_seeds_of_a_trial_of_a_stage(search, kind, index, purpose, place):
    planned = {"confirm": confirm, "horizon": horizon}[kind](search).planned("adding", "gru", index)
    assert (planned.index, planned.block, planned.replicate) == (index, *place)
    for seed, what in ((planned.trial.seed, "trial"), (planned.trial.data_seed, "data")):
        digest = hashlib.sha256(f"0/{kind}/{what}/adding/{purpose}".encode()).digest()
        assert seed == int.from_bytes(digest[:8], "little") >> 1


def test_a_trial_of_a_search_is_its_point(search):
    planned = search.plan.planned("adding", "gru", 3)
    assert (planned.index, planned.point, planned.block, planned.replicate) == (3, 3, -1, 0)
    assert planned.trial == search.plan.trial("adding", "gru", 3)


def test_a_horizon_runs_the_best_configurations_at_lags_that_double(search):
    stage = horizon(search)
    lags = [stage.planned("adding", "gru", k).trial.task["lag"] for k in range(stage.length)]
    assert lags == [2] * 3 + [4] * 3 + [8] * 3 + [16] * 3
    assert [stage.planned("recall", "gru", k).trial.task["lag"] for k in (0, 3, 6, 9)] == [2, 4, 8, 16]
    best = sorted(range(5), key=lambda p: results(search)["adding", "gru"][p])[:2]
    assert [stage.point_of("adding", "gru", k) for k in range(6)] == [best[0], best[1], best[0]] * 2
    at_its_lag = stage.planned("adding", "gru", 3).trial
    searched = search.plan.trial("adding", "gru", best[0])
    assert replace(at_its_lag, seed=0, data_seed=0) == replace(searched, seed=0, data_seed=0)


def test_a_stage_is_planned_the_same_from_the_same_search(search, tmp_path):
    again = completed(open_storage("", tmp_path / "again"), search.design)
    for plan in (confirm, horizon):
        assert plan(search).as_dict() == plan(again).as_dict()


def test_a_stage_stays_as_it_was_planned_first(search, storage):
    stage = confirm(search)
    first = Study.create(storage, stage, {})
    other = replace(stage, chosen={t: {v: [0] * 3 for v in search.design.variants} for t in search.design.tasks})
    assert (
        Study.create(storage, other, {}).plan.as_dict()
        == first.plan.as_dict()
        == Study.open(storage, stage.key).plan.as_dict()
    )


def test_a_stage_survives_json(search):
    stage = horizon(search)
    again = Stage.from_dict(json.loads(json.dumps(stage.as_dict())), search.plan)
    assert again == stage


def test_other_knobs_are_refused_and_said(search, storage):
    Study.create(storage, confirm(search), {})
    with pytest.raises(
        ValueError,
        match=r"stage confirm of study 'study' exists with a different design \(confirm\.blocks: 10 there, 1 here\)",
    ):
        Study.create(storage, confirm(search, blocks=1), {})


@pytest.mark.parametrize(("plan", "more", "added"), [(confirm, {"repeats": 4}, 2), (horizon, {"above": 3}, 3)])
def test_more_repeats_or_longer_lags_extend_a_stage_and_fewer_change_nothing(search, storage, plan, more, added):
    stage = plan(search)
    claim_all(Study.create(storage, stage, {}))
    longer = Study.create(storage, plan(search, **more), {})
    assert [c.index for c in claim_all(longer)] == [stage.length + k for k in range(added) for _ in stage.pairs]
    assert Study.create(storage, stage, {}).plan.length == stage.length + added


def test_every_trial_of_a_stage_is_claimed_once_in_interleaved_order(search, storage):
    study = Study.create(storage, horizon(search), {})
    assert [(c.index, c.task, c.variant) for c in claim_all(study)] == [
        (k, *cell) for k in range(12) for cell in study.plan.pairs
    ]


def test_the_trial_of_a_dead_worker_in_a_stage_is_run_again(search, storage):
    study = Study.create(storage, confirm(search), {})
    claim = study.claim()
    storage.set_trial_user_attr(
        claim.number, "worker", {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 0.0}
    )
    assert study.recover() == 1
    assert claim_all(study)[-1].trial == claim.trial


def test_what_was_put_back_in_a_stage_is_claimed_again(search, storage):
    study = Study.create(storage, confirm(search), {})
    claim = study.claim()
    study.put_back(claim)
    assert study.claim().trial == claim.trial


def test_rows_of_a_stage_say_what_they_are(search, storage, tmp_path):
    for stage in (confirm(search), horizon(search)):
        completed(storage, stage)
    rows, design = records(tmp_path, "study", stages=True)
    mine = [r for r in rows if (r["task"], r["variant"]) == ("adding", "gru")]
    assert [(r["stage"], r["block"], r["replicate"]) for r in mine[:9]] == [("search", -1, 0)] * 5 + [
        ("confirm", b, 0) for b in (0, 1)
    ] + [("confirm", -1, r) for r in (0, 1)]
    assert [(r["lag"], r["replicate"]) for r in mine[9:]] == [(lag, r) for lag in (2, 4, 8, 16) for r in range(3)]
    assert design["stages"]["confirm"]["points"] == 5
    assert design["stages"]["horizon"]["knobs"]["best"] == 2


def test_rows_of_a_stage_have_the_coordinates_of_their_points(search, storage):
    for row in completed(storage, confirm(search)).records():
        unit = search.design.unit(row["task"], row["point"])
        assert {name: row[f"u_{name}"] for name in unit} == unit


def test_without_asking_a_study_is_its_search(search, storage, tmp_path):
    completed(storage, confirm(search))
    rows, design = records(tmp_path, "study")
    assert (len(rows), "stages" in design) == (search.size, False)


def test_an_extended_search_gets_a_stage_of_its_own(search, storage, tmp_path):
    completed(storage, confirm(search))
    more = completed(storage, replace(search.design, points=6))
    completed(storage, confirm(more))
    rows, design = records(tmp_path, "study", stages=True)
    assert design["stages"]["confirm"]["points"] == 6
    assert len([r for r in rows if r["stage"] == "confirm"]) == 4 * (3 + 2)


def test_an_action_on_a_stage_is_on_the_one_of_the_most_points(search, storage, tmp_path):
    completed(storage, confirm(search))
    completed(storage, confirm(completed(storage, replace(search.design, points=6))))
    assert opened("", tmp_path / "study", "study", "confirm").plan.points == 6


def test_a_search_of_adaptive_points_or_with_a_pruner_has_no_stages():
    for changes in ({"sampler": "tpe"}, {"pruner": "asha"}):
        with pytest.raises(
            ValueError, match=r"stage=confirm needs a search in which all variants share their points .*, got 'sampler="
        ):
            Stage.after(Search(make_design(**changes)), Confirm(), {})


def test_a_lag_that_a_task_does_not_have_is_refused_with_the_knob(search):
    with pytest.raises(ValueError, match=r"stage=horizon \(horizon\.below=2\): adding: lag must be at least 2, got 1"):
        horizon(search, below=2)


def test_mlflow_has_one_run_per_trial_of_each_stage(search, storage, tmp_path, empty):
    shutil.copy(empty, tmp_path / "mlflow.db")
    study = completed(storage, confirm(search))
    mirrors = [Mirror(s, tmp_path) for s in (search, study)]
    assert [m.catch_up(patient=True) for m in mirrors] == [search.size, study.size]
    assert [Mirror(s, tmp_path).catch_up(patient=True) for s in (search, study)] == [0, 0]
    client = mirrors[0].tracker.client
    runs = client.search_runs(
        [client.get_experiment_by_name("study").experiment_id], filter_string="tags.stage = 'confirm'"
    )
    assert len(runs) == study.size
    assert {(r.data.tags["block"], r.data.tags["replicate"]) for r in runs} == {
        ("0", "0"),
        ("1", "0"),
        ("-1", "0"),
        ("-1", "1"),
    }


# From the shell, with real workers
# --------------------------------------------------------------------------------------------

SMALL = ["study=smoke", "training.budget=6", "training.evaluation_sequences=16", "points=2", "tracking=none"]
STAGE = {
    "confirm": ["stage=confirm", "confirm.repeats=2"],
    "horizon": ["stage=horizon", "horizon.best=1", "horizon.runs_per_lag=1"],
}


def command(results, *arguments):
    return [sys.executable, "-m", "runs.sweep", *SMALL, f"results={results}", *arguments]


def call(results, *arguments):
    return subprocess.run(command(results, *arguments), cwd=ROOT, capture_output=True, text=True)


def table(results):
    rows, _ = records(results, "smoke", stages=True)
    return [{k: v for k, v in row.items() if k not in ("seconds", "session")} for row in rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A search and both its stages, run by two workers."""
    results = tmp_path_factory.mktemp("results")
    for arguments in ([], *STAGE.values()):
        done = call(results, "workers=2", *arguments)
        assert done.returncode == 0, done.stderr
    return results


@pytest.mark.slow
def test_a_stage_of_one_worker_that_was_interrupted_gives_the_same_table_to_the_last_bit(finished, tmp_path):
    assert call(tmp_path, "workers=1").returncode == 0
    for stage, arguments in STAGE.items():
        process = subprocess.Popen(
            command(tmp_path, "workers=1", *arguments), cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True
        )
        while process.poll() is None and not (tmp_path / "smoke" / f"{stage}_design.json").exists():
            time.sleep(0.02)
        time.sleep(2)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
        assert call(tmp_path, "workers=1", *arguments).returncode == 0
    assert table(tmp_path) == table(finished)


@pytest.mark.slow
def test_a_killed_worker_costs_a_stage_nothing(finished, tmp_path):
    longer = ["training.budget=100", "tasks.adding.lag=30", "model.engine=eager"]
    tables = []
    for kill in (False, True):
        results = tmp_path / str(kill)
        assert call(results, "workers=2", *longer).returncode == 0
        process = subprocess.Popen(
            command(results, "workers=2", *longer, *STAGE["confirm"]), cwd=ROOT, stderr=subprocess.DEVNULL
        )
        if kill:
            os.kill(worker_in_stage(results, process), signal.SIGKILL)
        process.wait(timeout=300)
        if kill and process.returncode:
            assert call(results, "workers=2", *longer, *STAGE["confirm"]).returncode == 0
        tables.append(table(results))
    assert tables[0] == tables[1]
    assert [row["status"] for row in tables[1]].count("failed") == 0


def worker_in_stage(results, process):
    """Process id of a worker that has claimed a trial of a stage."""
    journal = results / "smoke" / "journal.log"
    before = journal.read_text().count('"worker"')
    while process.poll() is None:
        lines = [line for line in journal.read_text().splitlines() if '"worker"' in line]
        if len(lines) > before:
            return json.loads(lines[-1])["user_attr"]["worker"]["pid"]
        time.sleep(0.05)
    raise AssertionError("the stage ended before a worker could be killed")


@pytest.mark.slow
def test_status_export_and_a_second_call_know_the_stages(finished):
    status = call(finished, "action=status", "stage=horizon").stdout
    assert "smoke horizon" in status
    (totals,) = [line.split() for line in status.splitlines() if line.startswith("all ")]
    assert totals[1] == "16", status
    assert "stage horizon of study 'smoke': all 16 trials are finished" in call(finished, *STAGE["horizon"]).stdout
    assert f"trials.parquet: {8 + 12 + 16} trials" in call(finished, "action=export").stdout


def test_a_stage_of_an_incomplete_search_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys):
    study = Study.create(open_storage("", tmp_path / "smoke"), Search(smoke()), {})
    study.finish(study.claim(), Outcome(status="finished", validation_loss=1.0))
    code, out, err = in_process(monkeypatch, capsys, main, "sweep", *SMALL, f"results={tmp_path}", "stage=confirm")
    assert (code, out) == (2, "")
    assert err == (
        "error: stage=confirm needs the complete search, but 7 trials are missing in study 'smoke' "
        "(adding vanilla 1, adding gru 2, "
        "delayed_recall vanilla 2, delayed_recall gru 2); first the same command without stage=confirm\n"
    )


def smoke() -> Design:
    """The design of the command line above."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from runs.configuration.schema import register
    from runs.configuration.study import design_from
    from runs.console.early import CONF

    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return design_from(compose("sweep", overrides=SMALL))
