from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.figures import gallery
from analysis.statistics.endpoints import ENDPOINTS
from analysis.statistics.resampling import Comparison
from analysis.study import Study
from analysis.tables import two_studies as module
from analysis.tables.two_studies import ADVANTAGE, CHANGE, COLUMNS, changes, compare_studies, differing
from runs.record.archive import write_values
from tests.analysis.synthetic import as_study, by_hand, study

FEW = {"swaps": 199}
GOOD, BAD = {"vanilla": 0.8, "gru": 0.8, "coupled": 0.8}, {"vanilla": 0.8, "gru": -3.0, "coupled": 0.8}
THREE = ("vanilla", "gru", "coupled")
OF_SOLVABLE = [name for name in ENDPOINTS if not name.endswith("_loss")]


def made(**kwargs):
    rows, design = study(kwargs.pop("variants", THREE), kwargs.pop("tasks", ("adding",)), **kwargs)
    return as_study(rows, design)


@pytest.fixture(scope="module")
def worse():
    """A study, and one in which gru has become far worse at the same points."""
    return made(points=40, skill=BAD, name="new"), made(points=40, skill=GOOD, name="old")


@pytest.fixture(scope="module")
def found(worse):
    return changes(*worse, **FEW)


def row(found, variant, what=CHANGE, endpoint=None):
    own = found[(found["variant"] == variant) & (found["what"] == what)]
    return own[own["primary"] if endpoint is None else own["endpoint"] == endpoint].iloc[0]


def test_what_has_changed_is_found_and_what_has_not_is_not(found):
    assert row(found, "gru")["significant"]
    assert row(found, "gru")["difference"] < 0
    assert not row(found, "coupled")["significant"]


def test_change_of_an_advantage_is_a_difference_in_differences(found):
    for endpoint in OF_SOLVABLE:
        own = {v: row(found, v, endpoint=endpoint)["difference"] for v in THREE}
        assert row(found, "gru", ADVANTAGE, endpoint)["difference"] == pytest.approx(own["gru"] - own["vanilla"])
    assert row(found, "gru", ADVANTAGE)["significant"]
    assert row(found, "gru", ADVANTAGE)["study"] == pytest.approx(
        row(found, "gru")["study"] - row(found, "vanilla")["study"]
    )


def with_trials(study, **columns):
    """A study of the same trials with other values in these columns."""
    return replace(study, every=study.every.assign(**columns))


def test_studies_are_paired_where_their_points_coincide(worse, found):
    assert found["paired"].all()
    assert set(found["points"]) == {40}
    unpaired = changes(worse[0], made(points=40, skill=GOOD, seed=7), **FEW)
    assert not unpaired["paired"].any()
    assert (unpaired["pairs"] == 0).all()
    assert row(unpaired, "gru")["significant"]


def test_pairs_are_found_by_their_place_and_not_by_their_number(worse, found):
    again = changes(worse[0], with_trials(worse[1], point=99 - worse[1].every["point"]), **FEW)
    pd.testing.assert_series_equal(again["difference"], found["difference"])
    assert again["pairs"].tolist() == found["pairs"].tolist()


@pytest.mark.parametrize(("shared", "paired"), [(20, True), (19, False)])
def test_studies_are_paired_from_half_of_the_smaller_ones_points_on(shared, paired):
    first, second = made(points=40, seed=1), made(points=50, seed=2)
    mixed = pd.concat([first.every[first.every["point"] < shared], second.every[second.every["point"] >= shared]])
    found = changes(first, replace(second, every=mixed), swaps=19)
    assert (found["paired"] == paired).all()
    assert (found["points"] == (shared if paired else 40)).all()


def test_a_longer_study_is_compared_over_the_common_points():
    whole = made(points=40)
    found = changes(replace(whole, every=whole.every[whole.every["point"] < 25]), whole, **FEW)
    assert set(found["points"]) == {25}
    assert (found["difference"] == 0).all()
    assert (found["same_numbers"] == found["pairs"]).all()


def test_other_hyperparameters_are_other_points(worse):
    other = replace(worse[1], every=worse[1].every.drop(columns="u_input_noise"))
    assert not changes(worse[0], other, **FEW)["paired"].any()


def test_steps_count_up_to_the_smaller_budget(worse):
    found = changes(worse[0], with_trials(worse[1], budget=500), **FEW)
    steps = found[found["endpoint"] == "restricted_steps"]
    assert steps[["study", "other"]].dropna().abs().max().max() <= 500
    own = worse[0].trials[worse[0].trials["variant"] == "vanilla"]["solved_step"].clip(upper=500).fillna(500)
    assert row(found, "vanilla", endpoint="restricted_steps")["study"] == pytest.approx(own.mean())


def test_time_is_a_ratio_of_seconds_per_step(worse):
    twice = with_trials(worse[0], seconds=2 * worse[0].every["seconds"])
    same = changes(worse[0], twice, **FEW)
    assert same[["time", "time_low", "time_high"]].to_numpy().ravel().tolist() == pytest.approx([0.5] * 3 * len(same))


def test_time_of_unpaired_studies_is_a_ratio_of_geometric_means():
    first, second = made(points=20, seed=1), made(points=30, seed=2)
    found = row(changes(first, second, swaps=19), "gru")
    rates = [s.trials[s.trials["variant"] == "gru"].eval("seconds / steps") for s in (first, second)]
    assert found["time"] == pytest.approx(np.exp(np.log(rates[0]).mean() - np.log(rates[1]).mean()))
    assert found["time_low"] < found["time"] < found["time_high"]


def test_equal_trials_are_counted_by_losses_and_by_outcome():
    """Of four trials: one equal, one of another test loss, one solved in one study only, one unsolved in both."""
    ours = [{"validation_loss": 0.5, "test_loss": 0.25, "solved_step": None, "status": "finished"} for _ in range(4)]
    theirs = [dict(trial) for trial in ours]
    theirs[1]["test_loss"] = 0.125
    theirs[2] |= {"solved_step": 100.0, "status": "solved"}
    cube = [{"u_learning_rate": k / 4} for k in range(4)]
    studies = [by_hand(*({**t, **u} for t, u in zip(trials, cube, strict=True))) for trials in (ours, theirs)]
    found = row(changes(*studies, swaps=19), "vanilla")
    assert found[["same_numbers", "same_outcome", "pairs"]].tolist() == [2, 3, 4]


def test_statistics_of_both_sides_are_over_the_trials_on_which_the_difference_rests():
    """Solved at points 0 and 1 of four; point 0 is missing in the other study, where only point 1 is solved."""
    ours = [{"status": "solved" if k < 2 else "finished", "u_learning_rate": k / 4} for k in range(4)]
    theirs = [{"status": "solved" if k == 1 else "finished", "u_learning_rate": k / 4} for k in range(1, 4)]
    found = row(changes(by_hand(*ours), by_hand(*theirs), swaps=19), "vanilla", endpoint="solve_rate")
    assert found[["study", "other", "difference", "points"]].tolist() == pytest.approx([1 / 3, 1 / 3, 0, 3])


def test_statistics_of_a_paired_variant_leave_out_the_points_that_it_lacks_in_the_other_study():
    """gru solves points 0 and 1 of four; the other study has no trial of it at point 0."""
    points = [{"u_learning_rate": k / 4, "point": k} for k in range(4)]
    vanilla = [{"variant": "vanilla", **u} for u in points]
    gru = [{"variant": "gru", "status": "solved" if k < 2 else "finished", **u} for k, u in enumerate(points)]
    found = changes(by_hand(*vanilla, *gru), by_hand(*vanilla, *gru[1:]), swaps=19)
    itself, advantage = (row(found, "gru", what, "solve_rate") for what in (CHANGE, ADVANTAGE))
    assert itself[["study", "other", "points"]].tolist() == pytest.approx([1 / 3, 1 / 3, 3])
    assert advantage[["study", "other", "difference"]].tolist() == pytest.approx([1 / 3, 1 / 3, 0])


def given(monkeypatch, *, low, high, p, points):
    """Make every comparison of each variant come out like this."""

    def made_up(weights, ours, theirs, **options):
        count = len(ours[0]) if isinstance(ours[0], np.ndarray) else len(ours[0][0])
        numbers = (np.full(count, x) for x in (0.25, low, high, p))
        return Comparison(*numbers, np.full(count, points))

    for name in ("compare_pairs", "compare_groups", "compare_advantages"):
        monkeypatch.setattr(module, name, made_up)


@pytest.mark.parametrize(
    ("low", "high", "points", "claimed"), [(0.1, 0.4, 10, True), (-0.1, 0.4, 10, False), (0.1, 0.4, 9, False)]
)
def test_a_change_and_an_advantage_are_claimed_by_the_interval(monkeypatch, worse, low, high, points, claimed):
    given(monkeypatch, low=low, high=high, p=0.01, points=points)
    found = changes(*worse)
    for what in (CHANGE, ADVANTAGE):
        assert row(found, "gru", what, "solve_rate")["significant"] == claimed
        assert np.isnan(row(found, "gru", what, "solve_rate")["low"]) == (points < 10)


def test_each_question_is_decided_by_one_endpoint(worse):
    found = changes(*worse, swaps=19)
    assert dict(found.loc[found["primary"], ["question", "endpoint"]].drop_duplicates().to_numpy()) == {
        "ease": "solve_rate",
        "quality": "expected_best_20",
    }


def test_nothing_is_said_where_nothing_was_learned_in_either_study():
    floor = [{"variant": v, "score": 0.01} for v in ("vanilla", "gru") for _ in range(12)]
    found = changes(by_hand(*floor), by_hand(*floor), swaps=19)
    assert set(found["verdict"]) == {"nothing learned"}
    solved = [{**trial, "status": "solved", "solved_step": 9.0, "score": 1.0} for trial in floor]
    assert "nothing learned" not in set(changes(by_hand(*floor), by_hand(*solved), swaps=19)["verdict"])


def test_intervals_end_where_no_difference_can_be_larger_and_for_an_advantage_twice_as_far(monkeypatch, worse):
    given(monkeypatch, low=-9000.0, high=1.5, p=0.5, points=20)
    found = changes(*worse)
    for endpoint, span in (("solve_rate", 1.0), ("restricted_steps", 2000.0), ("best_decile", 1.0)):
        itself, advantage = (row(found, "gru", what, endpoint) for what in (CHANGE, ADVANTAGE))
        assert (itself["low"], itself["high"]) == (-span, min(1.5, span))
        assert (advantage["low"], advantage["high"]) == (-2 * span, 1.5)


def test_trials_of_two_studies_have_one_order():
    """Ours solve after 100 to 111 steps and score .5, theirs after 500 to 511 and score 1: swapped, ours come first."""
    ours, theirs = (
        [{"solved_step": at + k, "status": "solved", "score": s, "u_learning_rate": k / 12} for k in range(12)]
        for at, s in ((100.0, 0.5), (500.0, 1.0))
    )
    first, second = (by_hand(*trials).trials for trials in (ours, theirs))
    ordered = module._ordered_together(first, second, by_steps=True)
    assert max(ordered[0]["order"]) < min(ordered[1]["order"])


def test_a_study_is_compared_with_one_of_its_own_name():
    one = made(points=4)
    both = compare_studies(one, one, swaps=19)
    assert (both.study, both.other, both.baseline) == ("synthetic", "synthetic (other)", "vanilla")


def test_designs_are_told_apart_setting_by_setting(worse):
    about = {**worse[0].design.as_dict(), **worse[0].about}
    changed = {
        **about,
        "training": {**about["training"], "budget": 4000},
        "versions": {**about["versions"], "torch": "2.14.0"},
        "space": {**about["space"], "size": {**about["space"]["size"], "high": 256}},
        "name": "x",
        "created": "now",
    }
    found = differing(worse[0], Study.of(worse[0].every.assign(engine="eager"), changed)).set_index("setting")
    assert found.loc["training.budget"].tolist() == ["2000", "4000"]
    assert found.loc["versions.torch"].tolist() == ["2.13.0", "2.14.0"]
    assert found.loc["space size"].tolist() == ["8 to 128, log", "8 to 256, log"]
    assert found.loc["engine that ran"].tolist() == ["fused", "eager"]
    assert len(found) == 4


def test_a_setting_that_one_design_lacks_is_a_dash(worse):
    one, other = (
        replace(worse[0], design=replace(worse[0].design, tasks={"adding": {"label": "a", **k}}))
        for k in ({}, {"lag": 9})
    )
    assert differing(one, other).to_dict("records") == [{"setting": "task adding.lag", "study": "–", "other": "9"}]


def test_a_missing_pair_is_left_out_and_the_rest_compared(worse):
    other = replace(worse[1], every=worse[1].every[worse[1].every["variant"] != "coupled"])
    assert set(changes(worse[0], other, **FEW)["variant"]) == {"vanilla", "gru"}


def with_design(every, study, **changes):
    """A study of these trials whose design is that of another one with changes."""
    return Study.of(every, {**study.design.as_dict(), **study.about, **changes})


def test_nothing_common_and_searches_are_refused(worse):
    new, old = worse
    with pytest.raises(ValueError, match="no task in common: adding here, copying there"):
        compare_studies(new, with_design(old.every.assign(task="copying"), old, tasks=["copying"]))
    with pytest.raises(ValueError, match="no variant in common: vanilla, gru, coupled here, rnn there"):
        compare_studies(new, with_design(old.every.assign(variant="rnn"), old, variants=["rnn"]))
    with pytest.raises(ValueError, match=r"study 'old' is a search \(sampler=tpe, pruner=none\)"):
        compare_studies(new, with_design(old.every, old, sampler="tpe"))


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archives")
    for name, kwargs in {"new": {}, "old": {"skill": BAD}, "foreign": {"tasks": ("copying",)}}.items():
        study = made(points=6, name=name, variants=("vanilla", "gru"), **kwargs)
        write_values(study.every, {**study.design.as_dict(), **study.about}, folder / name)
    (folder / "text.parquet").write_text("no parquet")
    return folder


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("absent.parquet", "there is no file absent.parquet"),
        ("nostudy", "there is no file nostudy, and no archive"),
        ("{folder}/text.parquet", "is not an archive of a study"),
        ("{folder}/foreign/trials.parquet", "no task in common: adding here, copying there"),
    ],
)
def test_mistakes_are_one_line(archives, tmp_path, capsys, other, message):
    arguments = [
        f"results={tmp_path}",
        f"from={archives / 'new' / 'trials.parquet'}",
        f"compare={other.format(folder=archives)}",
    ]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists(), "a mistake is found before anything is written"


def test_two_archives_alone_give_a_report_with_figure_and_section(archives, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gallery, "FIGURES", [spec for spec in gallery.FIGURES if spec.name in ("beside", "heat_map")])
    assert main([f"from={archives / 'new' / 'trials.parquet'}", f"compare={archives / 'old' / 'trials.parquet'}"]) == 0
    assert "mlflow" not in capsys.readouterr().out
    folder = tmp_path / "results" / "new"
    html = (folder / "report.html").read_text()
    assert '<h2 id="beside-study">Compared with study old</h2>' in html
    assert html.count('<figure id="beside">') == 1
    assert "The designs and versions of the two do not differ." in html
    assert (folder / "figures" / "beside.svg").stat().st_size > 0
    assert len(pd.read_csv(folder / "beside.csv")) == len(OF_SOLVABLE) * 3
    assert (folder / "figures" / "heat_map.png").stat().st_size > 0
    assert not list(tmp_path.glob("**/journal.log"))
    assert not list(tmp_path.glob("**/mlflow.db"))


def test_a_study_of_the_results_folder_is_named_without_its_file(archives):
    from analysis.load import archive_of

    assert archive_of("old", archives) == archives / "old" / "trials.parquet"
    assert archive_of("", archives) is None


def test_reading_is_symmetric(worse, found):
    back = changes(worse[1], worse[0], **FEW)
    assert back["difference"].tolist() == pytest.approx((-found["difference"]).tolist())
    assert back["low"].tolist() == pytest.approx((-found["high"]).tolist())
    assert list(found.columns) == COLUMNS
