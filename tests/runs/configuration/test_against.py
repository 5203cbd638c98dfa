"""`against=`: the design of an archive with new variants; what it refuses, in one line."""

import re
from dataclasses import replace

import pytest
from omegaconf import OmegaConf

from runs.configuration.against import chosen_tasks, union_from, with_variants
from runs.console.early import mistake
from runs.record.archive import Archive, keep
from runs.study.finding import records
from runs.study.plan import Search
from runs.study.storage.opening import open_storage
from runs.study.study import Study
from runs.trial.trial import Outcome
from tests.runs.conftest import make_design
from variants.cells.gru import GRU

GLOROT = {"_target_": "variants.GlorotOrthogonal", "label": "glorot_orthogonal"}
NODES = {
    "vanilla": {"_target_": "variants.Vanilla", "label": "vanilla", "peepholes": [], "keep_bias": 1.0},
    "gru": {"_target_": "variants.GRU", "label": "gru", "keep_bias": 1.0},
}


def adding(lag):
    return {"_target_": "tasks.Adding", "label": f"adding_{lag}", "lag": lag}


DESIGN = make_design(
    name="old",
    variants=NODES,
    tasks={
        "adding_4": adding(4),
        "adding_6": adding(6),
        "recall": {
            "_target_": "tasks.DelayedRecall",
            "label": "recall",
            "lag": 3,
            "symbols": 8,
            "distractors": 8,
            "cues": 1,
        },
    },
    levels={"adding": ("adding_4", "adding_6")},
    initialisation=GLOROT,
)


class Even(GRU):
    """A cell that only takes widths of which there are none near those of a small study."""

    def validate(self, hidden_size, layers=1):
        if hidden_size % 500:
            raise ValueError(f"even: hidden_size must be divisible by 500, got {hidden_size}")


def written(folder, design, left_out=()):
    """The archive of a study with made-up outcomes; left_out: places without one."""
    storage = open_storage("", folder / design.name)
    study = Study.create(storage, Search(design), {"commit": "abc"})
    while (claim := study.claim()) is not None:
        if (claim.task, claim.variant, claim.index) not in left_out:
            study.finish(claim, Outcome(status="finished", validation_loss=1.0, test_loss=1.0, seconds=2.0))
    keep(design.name, *records(folder, design.name), folder / design.name)
    return folder / design.name / "trials.parquet"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return written(tmp_path_factory.mktemp("archives"), DESIGN)


@pytest.fixture
def union(archive):
    """The union of `variants` with an archive, or with another one."""

    def of(variants=("variants.IRNN",), path=archive, **asked):
        values = {"tasks": None, "lags": [], **asked, "against": str(path), "variants": list(variants)}
        return union_from(OmegaConf.create(values), {key: f"{key}=..." for key in asked})

    return of


# The design


def test_the_design_is_that_of_the_archive_with_the_new_variant_last(union):
    search = union()
    assert list(search.design.variants) == ["vanilla", "gru", "irnn"]
    assert search.new == ["irnn"]
    assert search.design.name == "old_irnn"
    assert replace(search.design, name="old", variants=NODES) == DESIGN


def test_the_trials_of_the_archive_are_those_of_the_union(union):
    search, old = union(), Search(DESIGN)
    for task, variant in DESIGN.pairs:
        assert search.trial(task, variant, 2).id == old.trial(task, variant, 2).id


def test_a_single_lag_keeps_the_points_and_seeds_of_its_series(union):
    search, old = union(tasks=["adding"], lags=[6]), Search(DESIGN)
    assert list(search.design.tasks) == ["adding_6"]
    assert search.trial("adding_6", "gru", 1).id == old.trial("adding_6", "gru", 1).id


def test_fewer_points_and_tasks_leave_out_the_archives_trials(union):
    part = union(points=2, tasks=["recall"]).archive
    assert sorted(part.table["point"].unique()) == [0, 1]
    assert set(part.table["task"]) == {"recall"}


def test_lags_choose_the_tasks_of_these_lags():
    assert chosen_tasks(DESIGN, None, [4, 3], "old") == ["adding_4", "recall"]
    assert chosen_tasks(DESIGN, None, 6, "old") == ["adding_6"]


def test_without_all_of_its_trials_the_stages_of_an_archive_do_not_belong_to_a_union(union):
    assert union().whole
    assert not union(points=2).whole
    assert not union(lags=[4]).whole


def test_a_match_of_both_adds_the_new_variant_twice():
    twice = replace(
        DESIGN, match="both", variants=NODES | {"gru_same_width": NODES["gru"]}, same_width={"gru_same_width": "gru"}
    )
    design = with_variants(twice, {"irnn": {"_target_": "variants.IRNN", "label": "irnn"}}, "new")
    assert list(design.variants) == ["vanilla", "gru", "gru_same_width", "irnn", "irnn_same_width"]


def test_missing_trials_leave_the_points_that_all_variants_have(union, tmp_path):
    path = written(tmp_path, DESIGN, left_out=[("recall", "gru", 2), ("adding_4", "vanilla", 2)])
    search = union(path=path)
    assert search.design.points == 2
    assert search.missing == 2
    assert "lacks 2 trials: all variants have the first 2 points on every task" in search.notes[1]
    assert union(path=path, tasks=["adding"], lags=[6]).design.points == 3  # whose trials are all there


# What is refused


def refused(union, *rule, **asked):
    with pytest.raises(ValueError, match=re.escape(rule[0])) as error:
        union(**asked)
    message = str(error.value)
    assert "\n" not in message
    for part in rule:
        assert part in message


def test_a_name_that_the_archive_has_is_refused_with_a_free_one(union):
    refused(
        union,
        "has a gru already; under a name of its own it is variants=[{my_gru: {variant: variants.GRU}}]",
        variants=["variants.GRU"],
    )


def test_no_variant_is_refused(union):
    refused(union, "variants must be the cells that are added to the archive", variants=[])


def test_a_task_that_the_archive_lacks_is_refused_with_those_it_has(union):
    refused(union, "has no 'addin'; did you mean 'adding'? It has: adding, recall, adding_4, adding_6", tasks=["addin"])


def test_a_lag_that_the_archive_lacks_is_refused_with_those_it_has(union):
    refused(union, "lags must be among those of", "(3, 4, 6), got 5", lags=[5])


def test_a_named_task_without_any_of_the_lags_is_refused(union):
    refused(union, "lags must name one of recall (3), got [4]", tasks=["adding", "recall"], lags=[4])


@pytest.mark.parametrize("points", [0, 4])
def test_more_points_than_the_archive_has_are_refused(union, points):
    refused(union, "points must be 1 to 3, as many as", f"got {points}", points=points)


def test_no_complete_point_is_refused_with_the_pair(union, tmp_path):
    path = written(tmp_path, DESIGN, left_out=[("recall", "gru", 0)])
    refused(union, "lacks 1 trial, and no point is complete", "missing for recall gru", path=path)


def test_an_archive_of_a_search_is_refused(union, tmp_path):
    path = written(tmp_path, replace(DESIGN, pruner="median"))
    refused(union, "is the archive of a search (sampler=random, pruner=median)", path=path)


def test_a_cell_without_a_width_near_the_archives_is_refused_by_name_and_width(union):
    rule = "Even cannot be trained at the points of", "even: hidden_size must be divisible by 500, got"
    refused(union, *rule, variants=[f"{__name__}.Even"])


def test_a_variant_that_sets_a_searched_knob_is_refused(union, tmp_path):
    from runs.study.space import Dimension

    space = DESIGN.space | {"keep_bias": Dimension(key="variant.keep_bias", low=0.0, high=5.0)}
    path = written(tmp_path, replace(DESIGN, space=space))
    entry = {"mine": {"variant": "variants.Vanilla", "keep_bias": 0}}
    refused(union, "mine sets keep_bias=0", "(space.keep_bias); leave it out", path=path, variants=[entry])


def test_a_task_whose_data_are_not_here_is_refused_by_name(union, monkeypatch):
    from runs.configuration import against

    def absent(node, model, training):
        raise ValueError("no corpus")

    monkeypatch.setattr(against, "checked_task", absent)
    refused(union, "against: task adding_4 of", "cannot be made here: no corpus")


def test_a_knob_of_another_version_is_refused(union, monkeypatch, archive):
    from runs.configuration import against
    from runs.record.archive import read_archive

    there = read_archive(archive)
    other = Archive(there.table, replace(there.design, unknown={"training.warp": 9}), there.about)
    monkeypatch.setattr(against, "read_archive", lambda path: other)
    refused(union, "sets training.warp, which this version of the code does not know")


def test_the_name_of_the_archive_is_taken(union):
    refused(union, "name must be another one than that of the archive", name="old")


def test_a_name_that_is_too_long_is_refused_with_the_cure(union):
    entries = [{f"a_very_long_name_of_a_cell_{k}": {"variant": "variants.IRNN"}} for k in range(3)]
    refused(union, "has more than 64 letters; name=... gives the study a shorter one", variants=entries)


# Found before torch is imported


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["lags=[30]"], "lags=[30]: is read with against=... only; "),
        (
            ["against=a", "training.budget=3"],
            "training.budget=3: with against=a the design is that of the archive, which says training",
        ),
        (
            ["against=a", "study=quick"],
            "study=quick: with against=a the design is that of the archive, which says study",
        ),
        (["against=a", "~space.size"], "~space.size: with against=a the design is that of the archive"),
        (
            ["against=a", "tasks.adding.lag=3"],
            "tasks.adding.lag=3: with against=a the tasks are those of the archive; ",
        ),
        (["against="], "against=: write against=archive:<name> or against=<path of an archive>"),
        (["against=a", "tasks=[adding,my_task]", "lags=[3]", "points=2", "name=x", "workers=2"], ""),
        (["against=a", "tracking=none", "storage=journal", "stage=confirm", "confirm.repeats=2", "action=status"], ""),
        (["-m", "against=a", "worker=range(0,2)", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], ""),
    ],
)
def test_keys_that_the_archive_decides_are_refused(arguments, line):
    found = mistake("sweep", arguments)
    assert found.startswith(line)
    assert bool(found) == bool(line)
