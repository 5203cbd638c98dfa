"""The numbers of a scorecard, against values that can be seen at once."""

import numpy as np
import pytest

from analysis.scorecard.card import OVERALL, Ground, card_of, place_grounds, rank_of, thirds
from analysis.statistics.endpoints import ENDPOINTS
from analysis.study import Study
from runs.record.shipped import located
from tests.analysis.lagged import lagged
from tests.analysis.scorecard.studies import three

CHORALES = located("archive:greff_chorales")


def place(counts, variant, points=40):
    study = lagged({name: (count, count) for name, count in counts.items()}, points=points, lags=(30, 60))
    found = rank_of(place_grounds(study)["adding_30"], variant)
    return found["rank"], found["rank_low"], found["rank_high"], found["variants"]


def test_a_place_is_as_sure_as_the_intervals():
    counts = {"vanilla": 20, "gru": 40, "rnn": 0, "irnn": 21}
    assert place(counts, "gru") == (1, 1, 1, 4)
    assert place(counts, "vanilla") == (3, 2, 3, 4)
    assert place(counts, "rnn") == (4, 4, 4, 4)


def test_equal_variants_have_the_same_place():
    counts = {"vanilla": 20, "gru": 20, "rnn": 20}
    assert place(counts, "vanilla") == place(counts, "rnn") == (1, 1, 3, 3)


def test_a_place_has_no_interval_below_ten_points():
    _, low, high, _ = place({"vanilla": 5, "gru": 9}, "gru", points=9)
    assert np.isnan([low, high]).all()


@pytest.fixture(scope="module")
def chorales():
    return Study.read(CHORALES)


def test_the_lowest_loss_has_the_first_place(chorales):
    ground = place_grounds(chorales)["chorales"]
    by_loss = sorted(ground.levels, key=ground.levels.__getitem__)
    assert [rank_of(ground, variant)["rank"] for variant in by_loss] == list(range(1, 10))
    first, last = (rank_of(ground, by_loss[k]) for k in (0, -1))
    assert first["rank_low"] == 1
    assert last["rank_high"] == 9


def test_the_first_row_is_the_mean_over_all_tasks():
    card = card_of(three(), "gru")
    first = card.places.iloc[0]
    assert first["task"] == OVERALL
    assert first["value"] == pytest.approx(33 / 36)
    assert first["difference"] == pytest.approx(15 / 36)
    assert card.points == 12


def test_thirds_are_shares_over_all_lags():
    found = thirds(three(), ["vanilla"])
    assert found["hyperparameter"].unique().tolist() == ["learning_rate"]
    # 12 points, four in each third; vanilla solves its first 10, 6 and 2 points at the three lags
    assert found["value"].tolist() == pytest.approx([(4 + 4 + 2) / 12, (4 + 2) / 12, 2 / 12])
    assert found["points"].tolist() == [4, 4, 4]
    assert found["low"].isna().all()


def test_thirds_have_intervals_from_ten_points_on():
    study = three(points=36)
    found = thirds(study, ["vanilla"])
    assert found["points"].tolist() == [12, 12, 12]
    assert (found["low"] <= found["value"]).all()
    assert (found["high"] >= found["value"]).all()
    assert found["high"].iloc[-1] == pytest.approx(3 / 12)  # nothing is solved there: the rule of three


@pytest.mark.parametrize(
    ("changes", "variant", "said"),
    [
        ({}, "grru", "unknown variant 'grru'; did you mean 'gru'"),
        ({"sampler": "tpe"}, "gru", "is a search"),
        ({"baseline": "peephole", "variants": [{"label": "gru"}]}, "gru", "no trials of a baseline"),
    ],
)
def test_what_cannot_be_placed_is_refused(changes, variant, said):
    study = three()
    if "baseline" in changes:
        study = Study(study.every[study.every["variant"] == "gru"], study.design, study.about)
    else:
        study = Study.of(study.every, {**study.design.as_dict(), **study.about, **changes})
    with pytest.raises(ValueError, match=said):
        card_of(study, variant)


def test_a_place_lies_in_its_interval_also_where_points_are_missing():
    missing = np.full(90, np.nan)
    rows = {  # gru is worse at the 15 points that both have, and better over all that it has
        "gru": np.r_[np.zeros(15), np.ones(90), missing],
        "rnn": np.r_[np.ones(15), missing, np.zeros(90)],
    }
    levels = {name: float(np.nanmean(row)) for name, row in rows.items()}
    orders = {name: np.zeros_like(row) for name, row in rows.items()}
    found = [rank_of(Ground(ENDPOINTS["solve_rate"], 1.0, rows, orders, levels), name) for name in rows]
    assert [(row["rank"], row["rank_low"], row["rank_high"]) for row in found] == [(1, 1, 2), (2, 1, 2)]
