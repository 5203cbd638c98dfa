"""A study travels: archives become studies again, to the last bit, or the first thing that is wrong is named."""

import json
import re
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from optuna.trial import TrialState

from runs.record.archive import Archive, read_archive, write_archive
from runs.record.rows import names_of, tidy
from runs.study.design import seed_for
from runs.study.part import Part
from runs.study.plan import Search
from runs.study.ranking import Result
from runs.study.restoring import difference, put_in, restore
from runs.study.stages import Confirm, Horizon, Stage
from runs.study.storage.opening import close_storage, open_database, open_storage
from runs.study.study import Study
from runs.trial.trial import Outcome
from tests.runs.conftest import make_design

FACTS = {"commit": "abc", "command": "python -m runs.sweep study=study", "created": "one"}
STATUSES = ("solved", "finished", "exploded", "diverged", "failed")


def outcome_for(lease, statuses=STATUSES):
    """The made-up outcome of a trial, which depends on the trial alone."""
    luck = np.random.default_rng(seed_for(0, lease.trial.id))
    status = statuses[lease.index % len(statuses)]
    if status == "failed":
        return Outcome(status="failed", error="ValueError: no\nluck", seconds=float(luck.random()))
    steps = (0, 2, 4, 6)
    losses = tuple(map(float, np.float32(luck.random(4))))
    said = {"lag": lease.trial.task["lag"], "floor": 0.25, "solved_loss": 0.01, "reference": None}
    return Outcome(
        status=status,
        steps=6,
        budget=6,
        sequences=12,
        solved_step=4 if status == "solved" else None,
        best_step=2,
        validation_loss=float(luck.random()),
        test_loss=None if status == "diverged" else float(luck.random()),
        test_metrics={"loss": float(luck.random())},
        score=float(luck.random()),
        curve_steps=steps,
        curve_losses=losses[:3] + ((float("nan"),) if status == "diverged" else losses[3:]),
        train_losses=(None, *map(float, luck.random(3))),
        parameters=7,
        kept=float(luck.random()),
        seconds=float(luck.random()),
        engine="eager",
        update="autograd",
        why_autograd="too small",
        task={**said, "reference_source": "", "unit": "nats", "unit_scale": 1.0},
    )


def run_all(study, statuses=STATUSES, most=10**6):
    """Finish the trials that wait, in their order, but not more than some."""
    for _ in range(most):
        if (lease := study.claim()) is None:
            break
        study.finish(lease, outcome_for(lease, statuses))
    return study


def archived(study, folder, *stages):
    """The archive of a study, as it is read from its file."""
    rows = [row for each in (study, *stages) for row in each.records()]
    plans = {
        each.plan.stage: {**each.facts, **each.plan.as_dict(), "trials": each.size, "sessions": each.sessions.all()}
        for each in stages
    }
    about = {**study.plan.as_dict(), **study.facts, "sessions": study.sessions.all(), "stages": plans}
    path, _ = write_archive(Archive.of(tidy(rows), json.loads(json.dumps(about))), folder)
    return read_archive(path)


def made(folder, design, part=None, facts=FACTS, most=10**6):
    """A study in a folder of its own, with the trials of a part finished, and its archive."""
    study = Study.create(open_storage("", folder), Search(design), facts)
    study.part = part or study.part
    return run_all(study, most=most), archived(study, folder / "out")


def with_rows(archive, change, **values):
    """An archive whose rows a function has changed, or whose first row of vanilla has other values."""
    rows = archive.table.to_dict("records")
    next(row for row in rows if row["variant"] == "vanilla").update(values)
    return replace(archive, table=tidy(change(rows) if change else rows))


def equal(one, other, *but):
    """Fail unless two tables are the same to the last bit, in all but some columns."""
    drop = [*but]
    pd.testing.assert_frame_equal(one.drop(columns=drop), other.drop(columns=drop), check_exact=True)


def staged(study, kinds):
    """Stages after a search, all of whose trials have finished."""
    results = {pair: {} for pair in study.plan.pairs}
    for finished in study.finished_trials():
        outcome = finished.outcome
        results[finished.task, finished.variant][finished.index] = Result(outcome.validation_loss, outcome.solved_step)
    plans = [Stage.after(study.plan, knobs, results) for knobs in kinds]
    return [run_all(Study.create(study.storage, plan, {"commit": plan.stage}), ("finished",)) for plan in plans]


KINDS = (Confirm(blocks=2, block_size=2, repeats=2), Horizon(below=0, above=1, best=2, runs_per_lag=3))


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    """A study of five points, its archive, and its stages, whose trials have all finished."""
    folder = tmp_path_factory.mktemp("five")
    study, archive = made(folder / "here", make_design(points=5))
    stages = staged(study, KINDS)
    return study, archive, stages


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """The archive of a study of three points."""
    return made(tmp_path_factory.mktemp("three") / "here", make_design(points=3))[1]


@pytest.fixture(params=["journal", "database"])
def elsewhere(request, tmp_path):
    """An empty storage on another machine."""
    storage = (
        open_storage("", tmp_path / "elsewhere")
        if request.param == "journal"
        else open_database(f"sqlite:///{tmp_path}/elsewhere.db")
    )
    yield storage
    close_storage(storage)


@pytest.fixture
def there(tmp_path):
    """A second empty storage."""
    return open_storage("", tmp_path / "there")


def whole(found, tmp_path):
    """The archive of what `restore` returned."""
    search, *stages = [each.study for each in found]
    return archived(search, tmp_path / "again", *stages)


# There and back
# --------------------------------------------------------------------------------------------------------------------


def test_a_study_comes_back_to_the_last_bit_in_every_status(five, tmp_path, elsewhere):
    _, archive, _ = five
    assert set(archive.table["status"]) == set(STATUSES)
    (found,) = restore(elsewhere, {"a": archive})
    again = whole([found], tmp_path)
    equal(archive.table, again.table)
    assert (again.design, again.about) == (archive.design, archive.about)
    assert (found.stored, found.there, found.replaced) == (20, 0, 0)
    assert found.study.finished()


def test_what_optuna_knows_of_a_restored_trial_is_what_it_knew(five, tmp_path, elsewhere):
    study, archive, _ = five
    (found,) = restore(elsewhere, {"a": archive})
    for one, other in zip(study.finished_trials(), found.study.finished_trials(), strict=True):
        mine, theirs = one.stored, other.stored
        assert one.place == other.place
        assert (mine.state, mine.params, mine.values) == (theirs.state, theirs.params, theirs.values)
        assert str(mine.intermediate_values) == str(theirs.intermediate_values)
        assert mine.distributions == theirs.distributions
        took = theirs.datetime_complete - theirs.datetime_start
        assert took.total_seconds() == pytest.approx(one.outcome.seconds, abs=1e-5)


def test_stages_come_back_with_their_plans_and_sessions(five, tmp_path, there):
    study, _, stages = five
    archive = archived(study, tmp_path / "out", *stages)
    found = restore(there, {"a": archive})
    assert [each.study.plan.stage for each in found] == ["search", "confirm", "horizon"]
    again = whole(found, tmp_path)
    equal(archive.table, again.table)
    assert again.about == archive.about


def test_an_archive_without_curves_gives_all_but_the_curves(five, tmp_path, there):
    _, archive, _ = five
    curves = names_of("integers", "floats")
    bare = with_rows(archive, lambda rows: [{**row, **dict.fromkeys(curves, ())} for row in rows])
    (found,) = restore(there, {"a": bare})
    equal(archive.table, whole([found], tmp_path).table, *curves, *_of_curves())
    again = restore(there, {"b": archive})[0]
    assert (again.stored, again.there) == (0, 20)


def _of_curves():
    return ["first_loss", "low_step", "low_loss", "low_train_loss", "last_step", "last_loss", "last_train_loss"]


def test_curves_in_single_precision_are_the_same_curves(five, tmp_path, there):
    _, archive, _ = five
    restore(there, {"a": archive})
    single = {c: lambda v: np.float32(v).astype(float) for c in ("curve_losses", "train_losses")}
    rows = [{**row, **{c: to(row[c]) for c, to in single.items()}} for row in archive.table.to_dict("records")]
    assert restore(there, {"b": replace(archive, table=tidy(rows))})[0].stored == 0


def test_an_adaptive_search_comes_back_with_the_hyperparameters_that_it_chose(tmp_path, there):
    study, archive = made(tmp_path / "here", make_design(sampler="tpe", points=5))
    (found,) = restore(there, {"a": archive})
    equal(archive.table, whole([found], tmp_path).table)
    assert [f.stored.params for f in study.finished_trials()] == [
        f.stored.params for f in found.study.finished_trials()
    ]


def test_a_pruned_trial_comes_back_with_the_losses_at_which_the_pruner_was_asked(tmp_path, there):
    design = make_design(pruner="median", points=3)
    study = Study.create(open_storage("", tmp_path / "here"), Search(design), FACTS)
    while (lease := study.claim()) is not None:
        outcome = outcome_for(lease, ("finished", "pruned"))
        for step, loss in zip(outcome.curve_steps, outcome.curve_losses, strict=True):
            study.storage.set_trial_intermediate_value(lease.number, step, loss)
        study.finish(lease, outcome)
    archive = archived(study, tmp_path / "out")
    (found,) = restore(there, {"a": archive})
    equal(archive.table, whole([found], tmp_path).table)
    pairs = list(zip(study.finished_trials(), found.study.finished_trials(), strict=True))
    assert all(one.stored.intermediate_values == other.stored.intermediate_values for one, other in pairs)
    assert {other.stored.state for _, other in pairs} == {TrialState.COMPLETE, TrialState.PRUNED}


# Merging
# --------------------------------------------------------------------------------------------------------------------


def test_two_halves_merge_into_the_whole(tmp_path, there):
    design = make_design(points=5)
    _, one = made(tmp_path / "one", design, Part(1, 2), FACTS | {"created": "one"})
    _, two = made(tmp_path / "two", design, Part(2, 2), FACTS | {"created": "two"})
    _, all_of_it = made(tmp_path / "all", design)
    assert (len(one.table), len(two.table)) == (12, 8)
    (found,) = restore(there, {"one": one, "two": two})
    merged = whole([found], tmp_path)
    equal(all_of_it.table, merged.table, "session")
    assert [facts["created"] for facts in merged.about["sessions"]] == ["one", "two"]
    assert (merged.table["session"] == merged.table["point"] % 2).all()


def test_what_two_archives_share_is_stored_once(tmp_path, there):
    design = make_design(points=3)
    _, one = made(tmp_path / "one", design, most=8)
    _, two = made(tmp_path / "two", design, facts=FACTS | {"created": "two"})
    (found,) = restore(there, {"one": one, "two": two})
    assert found.stored == 12
    assert whole([found], tmp_path).table["session"].value_counts().to_dict() == {0: 8, 1: 4}


def test_the_larger_number_of_points_counts(tmp_path, there):
    _, few = made(tmp_path / "few", make_design(points=3))
    _, many = made(tmp_path / "many", make_design(points=5))
    assert restore(there, {"few": few})[0].study.plan.length == 3
    (found,) = restore(there, {"few": few, "many": many})
    assert (found.study.plan.length, found.stored, found.there) == (5, 8, 12)
    assert restore(there, {"few": few})[0].study.plan.length == 5


def test_a_study_that_is_there_receives_what_it_lacks_and_nothing_waits_in_its_place(tmp_path):
    design = make_design(points=3)
    study, _ = made(tmp_path / "here", design, most=4)
    _, archive = made(tmp_path / "other", design, Part(1, 3), FACTS | {"created": "two"})
    (found,) = restore(study.storage, {"a": archive})
    left = found.study.left()
    assert left == 12 - 4 - found.stored > 0
    claimed = 0
    while (lease := found.study.claim()) is not None:
        claimed += 1
        found.study.finish(lease, outcome_for(lease))
    assert claimed == left
    assert found.study.finished()


@pytest.mark.parametrize("first", ["failure", "outcome"])
def test_an_outcome_replaces_a_failure_and_never_the_other_way_round(three, tmp_path, there, first):
    archive = three
    failed = with_rows(archive, None, status="failed", error="MemoryError", validation_loss=np.nan)
    order = {"failure": (failed, archive), "outcome": (archive, failed)}[first]
    assert restore(there, {"one": order[0]})[0].stored == 12
    (found,) = restore(there, {"two": order[1]})
    assert (found.stored, found.replaced) == ((1, 1) if first == "failure" else (0, 0))
    equal(archive.table, whole([found], tmp_path).table)


@pytest.mark.parametrize("first", ["failure", "outcome"])
def test_of_two_archives_the_one_with_an_outcome_counts(three, tmp_path, there, first):
    archive = three
    failed = with_rows(archive, None, status="failed", error="MemoryError", validation_loss=np.nan)
    order = {"failure": (failed, archive), "outcome": (archive, failed)}[first]
    (found,) = restore(there, {"one": order[0], "two": order[1]})
    equal(archive.table, whole([found], tmp_path).table)


# Killed in the middle
# --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.02, 0.3, 0.8, 0.97])
def test_what_a_killed_restore_has_left_is_completed_by_the_same_command(five, tmp_path, share):
    study, _, stages = five
    archive = archived(study, tmp_path / "out", stages[0])
    restore(open_storage("", tmp_path / "whole"), {"a": archive})
    written = (tmp_path / "whole" / "journal.log").read_bytes()
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "journal.log").write_bytes(written[: int(share * len(written))])  # mostly half a line
    found = restore(open_storage("", tmp_path / "killed"), {"a": archive})
    again = whole(found, tmp_path)
    equal(archive.table, again.table)
    assert again.about == archive.about
    stored = [t for each in found for pair in each.study.plan.pairs for t in each.study.trials(pair)]
    assert sum("outcome" in trial.user_attrs for trial in stored) == len(archive.table)


# Sessions
# --------------------------------------------------------------------------------------------------------------------


def test_the_next_run_is_a_session_of_its_own_behind_those_of_the_archive(tmp_path, there):
    _, archive = made(tmp_path / "here", make_design(points=3), most=5)
    restore(there, {"a": archive})
    study = Study.create(there, Search(archive.design), {"commit": "mine"})
    assert (study.sessions.number, [facts["commit"] for facts in study.sessions.all()]) == (1, ["abc", "mine"])


def test_the_study_says_how_this_machine_differs_from_where_it_ran(tmp_path, there):
    _, archive = made(tmp_path / "here", make_design(points=3), most=5)
    (found,) = restore(there, {"a": archive})
    news = found.study.sessions.news_here()
    assert news.startswith("a session of this machine would differ from session 0 of this study: commit abc -> ")


# Into a study with other variants
# --------------------------------------------------------------------------------------------------------------------


def test_an_archive_is_put_into_a_study_with_more_variants_fewer_tasks_and_fewer_points(tmp_path, there):
    design = make_design(points=3)
    _, archive = made(tmp_path / "here", design)
    rnn = {"_target_": "variants.cells.simple.RNN", "label": "rnn"}
    fewer = {"adding": design.tasks["adding"]}
    union = make_design(points=2, name="union", variants={**design.variants, "rnn": rnn}, tasks=fewer)
    study = Study.create(there, Search(union), {"commit": "mine"})
    assert put_in(study, archive) == 4
    assert put_in(study, archive) == 0
    assert [facts["commit"] for facts in study.sessions.all()] == ["mine", "abc"]
    assert {finished.session for finished in study.finished_trials()} == {1}
    assert study.sessions.number == 0
    claimed = []
    while (lease := study.claim()) is not None:
        claimed.append((lease.variant, lease.index))
    assert claimed == [("rnn", 0), ("rnn", 1)]


# Versions
# --------------------------------------------------------------------------------------------------------------------


def of_a_version_without(archive, *knobs):
    """The same archive of a version that did not know some knobs of the training."""
    values = {**archive.design.as_dict(), **archive.about}
    values["training"] = {k: v for k, v in values["training"].items() if k not in knobs}
    plan = Search(archive.design)
    names = [f"training.{knob}" for knob in knobs]
    rows = [
        {**row, "trial_id": plan.planned(row["task"], row["variant"], row["point"]).trial.id_without(names)}
        for row in archive.table.to_dict("records")
    ]
    return Archive.of(tidy(rows), values)


def test_ids_of_a_version_without_some_knobs_are_accepted_where_these_have_their_defaults(three, tmp_path, there):
    archive = three
    older = of_a_version_without(archive, "criterion", "loss")
    assert older.table["trial_id"][0] != archive.table["trial_id"][0]
    (found,) = restore(there, {"a": older})
    equal(archive.table, whole([found], tmp_path).table)


def test_an_id_without_no_knob_is_the_id():
    trial = Search(make_design()).planned("adding", "gru", 0).trial
    assert trial.id_without(()) == trial.id
    assert trial.id_without(["training.budget"]) == trial.id  # it does not have its default
    assert trial.id_without(["model.layers"]) != trial.id


# Refusals
# --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"trial_id": "0123456789abcdef"},
            "a: trial adding vanilla 0 is recorded as 0123456789abcdef, the design has ",
        ),
        ({"learning_rate": 0.5}, "a: trial adding vanilla 0 has learning_rate=0.5, the design gives it 0.0"),
        ({"seed": 7}, "a: trial adding vanilla 0 has seed=7, the design gives it "),
        ({"hidden_size": 3}, "a: trial adding vanilla 0 has hidden_size=3, the design gives it "),
        ({"session": 4}, "a: column session must be below 1, got 4"),
    ],
)
def test_a_trial_that_is_not_the_one_of_the_design_is_named_and_nothing_is_stored(
    three, tmp_path, there, values, message
):
    archive = three
    changed = with_rows(archive, None, **values)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        restore(there, {"a": changed})
    assert there.get_all_studies() == []


def test_a_trial_with_other_numbers_is_named_with_the_difference_and_nothing_is_stored(three, tmp_path, there):
    _, half = made(tmp_path / "half", make_design(points=3), most=5)
    archive = three
    (found,) = restore(there, {"a": half})
    message = (
        "trial adding vanilla 0 has other numbers in b than in study 'study': steps is 5 in b, 6 in study 'study', 1 "
        "apart; nothing was restored"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        restore(there, {"b": with_rows(archive, None, steps=5)})
    assert sum(1 for _ in found.study.finished_trials()) == 5


def test_archives_with_other_numbers_of_a_trial_are_refused(three, tmp_path, there):
    archive = three
    with pytest.raises(
        ValueError, match=r"trial adding vanilla 0 has other numbers in b than in a: steps is 5 in b, 6 in a"
    ):
        restore(there, {"a": archive, "b": with_rows(archive, None, steps=5)})
    assert there.get_all_studies() == []


def test_archives_of_other_designs_are_refused_with_what_differs(tmp_path, there):
    _, one = made(tmp_path / "one", make_design())
    _, two = made(tmp_path / "two", make_design(seed=7))
    with pytest.raises(ValueError, match=r"of different designs \(seed: 0 in one, 7 in two\); nothing was restored"):
        restore(there, {"one": one, "two": two})


def test_a_study_of_another_design_is_refused_with_what_differs(tmp_path):
    study, _ = made(tmp_path / "here", make_design(seed=7))
    _, archive = made(tmp_path / "other", make_design())
    with pytest.raises(
        ValueError, match=r"exists with a different design \(seed: 7 there, 0 here\)\. Nothing was rest"
    ):
        restore(study.storage, {"a": archive})
    restore(study.storage, {"a": archive}, "other")


def test_a_stage_with_other_points_is_refused(five, tmp_path, there):
    study, _, stages = five
    archive = archived(study, tmp_path / "out", stages[0])
    about = json.loads(json.dumps(archive.about))
    about["stages"]["confirm"]["chosen"]["recall"]["gru"] = [0, 0, 0]
    with pytest.raises(
        ValueError, match=r"stage confirm .* planned differently \(the points that gru runs again on re"
    ):
        restore(there, {"a": archive, "b": replace(archive, about=about)})
    about["stages"]["confirm"] = {"stage": "confirm"}
    with pytest.raises(ValueError, match=r"b: its stages are not plans of stages \(KeyError: 'knobs'\)"):
        restore(there, {"b": replace(archive, about=about)})
    assert there.get_all_studies() == []


def test_a_design_with_knobs_of_a_later_version_is_refused(three, tmp_path, there):
    archive = three
    later = Archive.of(archive.table, archive.design.as_dict() | {"training": {"speed": 3}})
    with pytest.raises(ValueError, match=r"no knobs that this version lacks, got \['training\.speed'\]"):
        restore(there, {"a": later})


def test_a_table_without_a_hyperparameter_is_refused(three, tmp_path, there):
    archive = three
    with pytest.raises(ValueError, match=r"a: its table must have a column of each hyperparameter, got .*'size'"):
        restore(there, {"a": replace(archive, table=archive.table.drop(columns="size"))})


# Outcomes
# --------------------------------------------------------------------------------------------------------------------


def test_every_number_of_an_outcome_is_compared_but_its_time():
    lease = type("Lease", (), {"trial": Search(make_design()).planned("adding", "gru", 0).trial, "index": 0})
    outcome = outcome_for(lease)
    ignored = {"seconds", "why_eager", "update", "why_autograd"}
    for name, value in asdict(outcome).items():
        other = {
            str: lambda v: v + "x",
            dict: lambda v: {**v, next(iter(v)): 99},
            tuple: lambda v: (*v[:-1], 77),
            list: lambda v: (*v[:-1], 77),
            type(None): lambda v: 3,
        }.get(type(value), lambda v: v + 1)(value)
        found = difference(outcome, replace(outcome, **{name: other}))
        assert (found == "") == (name in ignored), name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"variants": ["vanilla", "gru"]}, "from: a.parquet must say of which class its variants and tasks are"),
        ({"stages": {}}, "a.parquet: its stage horizon must have a plan of this stage, got 'confirm'"),
    ],
)
def test_an_archive_that_does_not_say_enough_is_refused(five, tmp_path, there, change, said):
    study, _, stages = five
    archive = archived(study, tmp_path / "out", *stages)
    values = {**archive.design.as_dict(), **archive.about, **change}
    if "stages" in change:
        values["stages"] = {"horizon": archive.about["stages"]["confirm"]}
    with pytest.raises(ValueError, match=re.escape(said)):
        restore(there, {"a.parquet": Archive.of(archive.table, values)})
