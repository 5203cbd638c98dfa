from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.figures import gallery
from analysis.figures.plots_beside import beside as draw
from analysis.load import tidy, write_archive
from analysis.statistics.endpoints import ENDPOINTS
from analysis.tables import two_studies as beside
from analysis.tables.two_studies import CHANGE, LEAD, changes, differing, put_beside

from .synthetic import study

FEW = {"resamples": 200, "swaps": 199}
GOOD, BAD = {"vanilla": 0.8, "gru": 0.8, "coupled": 0.8}, {"vanilla": 0.8, "gru": -3.0, "coupled": 0.8}
THREE = ("vanilla", "gru", "coupled")


def made(**kwargs):
    rows, design = study(kwargs.pop("variants", THREE), kwargs.pop("tasks", ("adding",)), **kwargs)
    return tidy(rows), design


@pytest.fixture(scope="module")
def worse():
    """A study, and one in which gru has become far worse at the same points."""
    (table, design), (other, other_design) = (
        made(points=40, skill=BAD, name="new"),
        made(points=40, skill=GOOD, name="old"),
    )
    return table, design, other, other_design


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


def test_lead_over_the_baseline_is_a_difference_of_differences(found):
    for endpoint in ENDPOINTS:
        own = {v: row(found, v, endpoint=endpoint)["difference"] for v in THREE}
        assert row(found, "gru", LEAD, endpoint)["difference"] == pytest.approx(own["gru"] - own["vanilla"])
    assert row(found, "gru", LEAD)["significant"]
    assert row(found, "gru", LEAD)["study"] == pytest.approx(
        row(found, "gru")["study"] - row(found, "vanilla")["study"]
    )


def test_studies_are_paired_where_their_points_coincide(worse, found):
    table, design, _, _ = worse
    assert found["paired"].all()
    assert set(found["points"]) == {40}
    elsewhere, elsewhere_design = made(points=40, skill=GOOD, seed=7)
    unpaired = changes(table, design, elsewhere, elsewhere_design, **FEW)
    assert not unpaired["paired"].any()
    assert (unpaired["pairs"] == 0).all()
    assert row(unpaired, "gru")["significant"]


def test_pairs_are_found_by_their_place_and_not_by_their_number(worse, found):
    table, design, other, other_design = worse
    renumbered = other.assign(point=99 - other["point"])
    again = changes(table, design, renumbered, other_design, **FEW)
    pd.testing.assert_series_equal(again["difference"], found["difference"])
    assert again["pairs"].tolist() == found["pairs"].tolist()


def test_a_longer_study_is_compared_over_the_common_points():
    whole, design = made(points=40)
    first = whole[whole["point"] < 25]
    found = changes(first, {**design, "points": 25}, whole, design, **FEW)
    assert set(found["points"]) == {25}
    assert (found["difference"] == 0).all()
    assert (found["same_numbers"] == found["pairs"]).all()


def test_other_hyperparameters_are_other_points(worse):
    table, design, other, other_design = worse
    assert not changes(table, design, other.drop(columns="u_input_noise"), other_design, **FEW)["paired"].any()


def test_steps_count_up_to_the_smaller_budget(worse):
    table, design, other, other_design = worse
    found = changes(table, design, other.assign(budget=500), other_design, **FEW)
    assert found.loc[found["endpoint"] == "restricted_steps", ["study", "other"]].dropna().abs().max().max() <= 500


def test_time_is_a_ratio_of_seconds_per_step(worse):
    table, design, _, other_design = worse
    same = changes(table, design, table.assign(seconds=2 * table["seconds"]), other_design, **FEW)
    assert same["time"].tolist() == pytest.approx([0.5] * len(same))


def test_few_points_give_differences_without_inference():
    (table, design), (other, other_design) = made(points=8), made(points=8, skill=BAD)
    both = put_beside(table, design, other, other_design, **FEW)
    assert both.cells["difference"].notna().all()
    assert both.cells[["low", "high", "p"]].isna().all().all()
    assert not both.cells["significant"].any()
    assert "nothing is concluded" in both.sentences[0]


def test_designs_are_told_apart_setting_by_setting(worse):
    table, design, _, _ = worse
    changed = {
        **design,
        "training": {**design["training"], "budget": 4000},
        "versions": {**design["versions"], "torch": "2.14.0"},
    }
    changed["space"] = {**design["space"], "size": {**design["space"]["size"], "high": 256}}
    found = differing(
        table, design, table.assign(engine="eager"), {**changed, "name": "x", "created": "now"}
    ).set_index("setting")
    assert found.loc["training.budget"].tolist() == ["2000", "4000"]
    assert found.loc["versions.torch"].tolist() == ["2.13.0", "2.14.0"]
    assert found.loc["space size"].tolist() == ["8 to 128, log", "8 to 256, log"]
    assert found.loc["engine that ran"].tolist() == ["fused", "eager"]
    assert len(found) == 4


def test_sentences_say_what_changed_and_never_that_nothing_did(worse):
    text = " ".join(put_beside(*worse, **FEW).sentences)
    assert "paired over 40 points" in text
    assert "Lower in this study: gru by" in text
    assert "Lower in this study in its lead over vanilla: gru by" in text
    assert "the largest change that the data leave possible" in text


def test_a_missing_pair_is_left_out_and_the_rest_compared(worse):
    table, design, other, other_design = worse
    found = changes(table, design, other[other["variant"] != "coupled"], other_design, **FEW)
    assert set(found["variant"]) == {"vanilla", "gru"}


def test_nothing_common_and_searches_are_refused(worse):
    table, design, other, other_design = worse
    with pytest.raises(ValueError, match="no task in common: adding here, copying there"):
        put_beside(table, design, other.assign(task="copying"), {**other_design, "tasks": ["copying"]})
    with pytest.raises(ValueError, match="no variant in common: vanilla, gru, coupled here, rnn there"):
        put_beside(table, design, other.assign(variant="rnn"), {**other_design, "variants": ["rnn"]})
    with pytest.raises(ValueError, match=r"study 'old' is a search \(sampler=tpe"):
        put_beside(table, design, other, {**other_design, "sampler": "tpe"})


@pytest.mark.parametrize("case", ["twenty variants", "without inference", "steps"])
def test_figure_draws_and_fits_a_page(case, found, worse):
    table, design, _, _ = worse
    if case == "twenty variants":
        from .synthetic import TWENTY

        table, design = made(variants=TWENTY, points=5)
        found = changes(table, design, table, design, resamples=20, swaps=19)
    elif case == "steps":
        found = found.assign(primary=found["endpoint"] == "restricted_steps")
    else:
        found = found.assign(low=np.nan, high=np.nan, p=np.nan, p_holm=np.nan, significant=False)
    figure, data = draw(table, design, found)
    figure.draw_without_rendering()
    assert figure.get_size_inches()[1] <= 12
    assert len(data) == found["primary"].sum()


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archives")
    for name, kwargs in {"new": {}, "old": {"skill": BAD}, "foreign": {"tasks": ("copying",)}}.items():
        table, design = made(points=6, name=name, variants=("vanilla", "gru"), **kwargs)
        write_archive(table, design, folder / name)
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
    assert '<h2 id="beside-study">Beside study old</h2>' in html
    assert html.count('<figure id="beside">') == 1
    assert "The designs and versions of the two do not differ." in html
    assert (folder / "figures" / "beside.pdf").stat().st_size > 0
    assert len(pd.read_csv(folder / "beside.csv")) == len(ENDPOINTS) * 3
    assert (folder / "figures" / "heat_map.png").stat().st_size > 0
    assert not list(tmp_path.glob("**/journal.log"))
    assert not list(tmp_path.glob("**/mlflow.db"))


def test_a_study_of_the_results_folder_is_named_without_its_file(archives):
    from analysis.__main__ import archive_of

    assert archive_of("old", archives) == archives / "old" / "trials.parquet"
    assert archive_of("", archives) is None


def test_reading_is_symmetric(worse, found):
    table, design, other, other_design = worse
    back = changes(other, other_design, table, design, **FEW)
    assert back["difference"].tolist() == pytest.approx((-found["difference"]).tolist())
    assert back["low"].tolist() == pytest.approx((-found["high"]).tolist())
    assert tuple(found.columns) == beside.COLUMNS
