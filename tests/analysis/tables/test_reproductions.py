"""Published numbers are held against studies by the rules that the page states."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis.tables.reproductions import (
    ABLATION,
    NOT_REPRODUCED,
    NOT_RUN,
    PUBLISHED,
    REPRODUCED,
    TOO_FEW,
    Measured,
    Published,
    _unsolved,
    gain,
    median_loss,
    order_of_medians,
    ours_text,
    reproductions,
    sequences_to_solve,
)


def study_of(**columns):
    return SimpleNamespace(trials=pd.DataFrame(columns))


def published(value: float, direction: int = 0) -> Published:
    return Published(title="", source="", value=value, studies=("a",), measure=sequences_to_solve, direction=direction)


def test_sequences_are_updates_times_batch_size_and_unsolved_seeds_count_with_the_budget():
    found = sequences_to_solve([study_of(solved_step=[10, np.nan, 30], budget=[100] * 3, batch_size=[2] * 3)])
    assert found.value == pytest.approx((20 + 200 + 60) / 3)
    assert found.note == "2 of 3 seeds solved it; 20 to 200 sequences"
    assert found.seeds == 3


def test_the_interval_of_equal_seeds_is_their_number():
    found = sequences_to_solve([study_of(solved_step=[7.0, 7.0], budget=[9, 9], batch_size=[1, 1])])
    assert (found.low, found.value, found.high) == (7, 7, 7)


def test_one_seed_has_no_interval_and_decides_nothing():
    found = sequences_to_solve([study_of(solved_step=[7.0], budget=[9], batch_size=[1])])
    assert np.isnan(found.low)
    assert published(7.0).verdict(found) == TOO_FEW


def test_the_median_is_that_of_the_variant_alone():
    study = study_of(variant=["v", "np", "v", "v"], test_loss=[1.0, 50.0, 4.0, 2.0])
    found = median_loss("v")([study])
    assert (found.value, found.seeds) == (2.0, 3)
    assert 1.0 <= found.low <= found.high <= 4.0


def test_a_diverged_seed_makes_a_median_worthless():
    found = median_loss("v")([study_of(variant=["v", "v"], test_loss=[1.0, np.nan])])
    assert published(1.0).verdict(found) == NOT_REPRODUCED


def ablation(losses: list[list[float]]):
    """A study of the ablation; losses: one list for each seed, in the order of the published ones."""
    return study_of(
        point=[k for k, row in enumerate(losses) for _ in row],
        variant=[name for row in losses for _, name in zip(row, ABLATION, strict=True)],
        test_loss=[v for row in losses for v in row],
    )


def test_medians_in_the_published_order_have_a_rank_correlation_of_one():
    found = order_of_medians([ablation([[0.1 * k for k in range(8)], [0.2 * k for k in range(8)]])])
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


def test_two_neighbours_that_change_places_lower_the_rank_correlation_as_spearman_says():
    losses = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 6.0]
    found = order_of_medians([ablation([losses, losses])])
    assert found.value == pytest.approx(1 - 6 * 2 / (8 * 63))


def test_a_gain_pairs_the_seeds_of_two_studies():
    def study(values: dict[int, float]):
        return study_of(seed=list(values), test_metrics=[json.dumps({"recall_accuracy": v}) for v in values.values()])

    found = gain("recall_accuracy")([study({5: 0.9, 6: 0.7}), study({6: 0.5, 5: 0.3, 8: 1.0})])
    assert found.value == pytest.approx((0.6 + 0.2) / 2)
    assert found.seeds == 2
    assert found.note == "0.8000 against 0.4000"


@pytest.mark.parametrize(
    ("direction", "value", "low", "high", "verdict"),
    [
        (0, 5.0, 4.0, 6.0, REPRODUCED),
        (0, 5.0, 5.1, 6.0, NOT_REPRODUCED),
        (1, 0.0, 0.1, 0.2, REPRODUCED),
        (1, 0.0, -0.1, 0.2, NOT_REPRODUCED),
        (-1, 0.0, -0.2, -0.1, REPRODUCED),
        (-1, 0.0, 0.1, 0.2, NOT_REPRODUCED),
    ],
)
def test_a_number_must_lie_in_the_interval_and_the_interval_on_the_side_of_a_direction(
    direction, value, low, high, verdict
):
    assert published(value, direction).verdict(Measured((low + high) / 2, low, high, 10)) == verdict


def test_counts_are_shown_with_thousands_and_losses_with_four_places():
    assert ours_text(published(74_000), Measured(51234.4, 40000, 61000, 3)) == "51,234 (40,000 to 61,000)"
    assert ours_text(published(0.0021), Measured(0.00214, 0.002, 0.003, 3)) == "0.0021 (0.0020 to 0.0030)"


def test_what_was_not_run_is_said():
    table = reproductions({})
    assert len(table) == len(PUBLISHED)
    assert set(table["verdict"]) == {NOT_RUN}
    assert set(table["ours_text"]) == {"–"}


def test_the_note_says_how_far_unsolved_seeds_came():
    trials = pd.DataFrame(
        {
            "solved_step": [np.nan, np.nan, 5.0],
            "test_metrics": [
                '{"absolute_error": 0.01, "wrong": 0.03}',
                '{"absolute_error": 0.02, "wrong": 0.01}',
                "{}",
            ],
        }
    )
    assert _unsolved(trials).endswith("a mean absolute error up to 0.020 and up to 3.0 % wrong")
    assert _unsolved(trials.iloc[2:]) == ""
