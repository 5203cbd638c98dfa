"""Whether a study is told that its best settings pile up at an end of a range, and how often that is said in error."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from analysis.report.notices import edge_notices
from analysis.tables.edges import chance, edges
from tests.analysis.synthetic import by_hand

SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}


def searched(quality, points=50, variants=("vanilla", "gru"), space=SPACE, **columns):
    """A study with points evenly spread over one hyperparameter; quality: of a trial at a place, higher is better."""
    places = (np.arange(points) + 0.5) / points
    rows = [
        {"variant": variant, "point": p, "u_learning_rate": u, "learning_rate": u, "score": 0.9, **columns}
        | {"validation_loss": float(np.exp(-quality(u)))}
        for variant in variants
        for p, u in enumerate(places)
    ]
    return by_hand(*rows, space=space)


def noticed(study):
    table = edges(study)
    return table.loc[table["notice"], "end"].tolist()


@pytest.mark.parametrize("drawn", [1, 3])
def test_chance_is_the_share_of_the_choices_that_hold_as_much(drawn):
    counts = [3, 0, 1, 2, 0, 1, 5]
    for least in range(10):
        wanted = np.mean([sum(choice) >= least for choice in combinations(counts, drawn)])
        assert chance(counts, drawn, least) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("quality", "ends"),
    [(lambda u: u, ["upper"]), (lambda u: -u, ["lower"]), (lambda u: -abs(u - 0.5), []), (lambda u: -abs(u - 0.8), [])],
)
def test_a_notice_names_the_end_at_which_the_best_pile_up(quality, ends):
    assert noticed(searched(quality)) == ends


def test_the_ends_of_a_complement_are_those_of_its_values():
    space = {"learning_rate": {"low": 0.01, "high": 1.0, "log": True, "complement": True}}
    assert noticed(searched(lambda u: u, space=space)) == ["lower"]


def test_solved_trials_count_as_the_best_do():
    # the same loss everywhere, and solved where the rate is high
    study = by_hand(
        *(
            {"point": p, "u_learning_rate": (p + 0.5) / 60, "score": 0.9, "status": "solved" if p >= 52 else "finished"}
            for p in range(60)
        ),
        space=SPACE,
    )
    table = edges(study).set_index("end")
    assert table.loc["upper", ["solve_outer", "solve_rest", "notice"]].tolist() == [1.0, pytest.approx(2 / 54), True]


def test_few_points_have_no_notice_and_say_so():
    table = edges(searched(lambda u: u, points=10))
    assert (table["notice"].any(), table["possible"].any()) == (False, False)


def test_variants_on_the_floor_are_not_asked():
    assert edges(searched(lambda u: u, score=0.1)).empty


def test_a_search_has_no_ends():
    study = searched(lambda u: u)
    assert len(edges(study))
    assert edges(by_hand({"score": 0.9}, sampler="tpe")).empty


def test_the_notice_says_what_piles_up_and_how_much_was_expected():
    (text,) = edge_notices(edges(searched(lambda u: u)))
    assert text.startswith("Widen learning_rate upwards")
    assert "100 % of the best tenth of the trials lie in its upper tenth (10 % expected)" in text


@pytest.mark.slow
@pytest.mark.calibration
def test_at_most_one_study_in_twenty_has_a_notice_where_nothing_piles_up():
    rng, names, studies = np.random.default_rng(2026), ("learning_rate", "size", "input_noise"), 100
    found = 0
    for _ in range(studies):
        rows = []
        for task in ("adding", "copying", "delayed_recall"):
            places, luck = rng.random((30, 3)), rng.normal(size=30)
            for variant in ("vanilla", "gru", "rnn"):
                for p, quality in enumerate(luck + rng.normal(size=30)):
                    fate = {"status": "solved", "solved_step": float(np.exp(-quality))} if quality > 0 else {}
                    row = {"task": task, "variant": variant, "point": p, "validation_loss": float(np.exp(-quality))}
                    here = {f"u_{name}": u for name, u in zip(names, places[p], strict=True)}
                    rows.append({**row, **fate, **here, "score": 0.9})
        found += edges(by_hand(*rows))["notice"].any()
    assert found <= 0.05 * studies + 2 * np.sqrt(0.05 * 0.95 * studies)
