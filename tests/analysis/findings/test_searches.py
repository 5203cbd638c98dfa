"""Words of the findings about a search over cells, held against its shipped table."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.findings.searches import SearchWords, judged
from analysis.findings.vocabulary import LATER, Vocabulary
from runs.record.shipped import FOLDER

NAME = "discover"


@pytest.fixture(scope="module")
def table():
    return pd.read_parquet(FOLDER / f"{NAME}.parquet")


@pytest.fixture(scope="module")
def words():
    return SearchWords("")


def test_new_cells_are_those_that_were_not_there_before(table, words):
    for arm in ("mutation", "random"):
        own = table[(table["arm"] == arm) & (table["operation"] != "again")]
        assert words.new_cells(NAME, arm) == f"{len(own):,}"
    assert int(words.new_cells(NAME).replace(",", "")) == sum(
        int(words.new_cells(NAME, arm).replace(",", "")) for arm in ("mutation", "random")
    )


def test_scored_cells_and_the_best_of_them_are_those_of_the_table(table, words):
    for arm in ("mutation", "random"):
        scores = table.loc[(table["arm"] == arm) & table["score"].notna(), "score"]
        assert words.scored(NAME, arm) == f"{len(scores):,}"
        assert words.best_score(NAME, arm) == f"{scores.max():.2f}"


def test_the_spread_of_the_names_is_that_of_their_ratios(table, words):
    ratios = table.loc[table["arm"] == "gru_names", "ratio"]
    assert words.names_spread(NAME) == f"{ratios.min():.2f} to {ratios.max():.2f}"


def test_what_the_verdict_says_is_left_out_where_the_words_are_quick():
    quick = SearchWords(LATER)
    for word in (
        "confirmed",
        "best_found",
        "found_above",
        "found_better",
        "optimism",
        "verdict_points",
        "verdict_table",
    ):
        assert getattr(quick, word)(NAME) == LATER


@pytest.mark.slow
def test_the_words_of_the_verdict_are_those_of_its_rows(words):
    found = judged(NAME).found
    best = max(found, key=lambda row: row.confirmed)
    assert words.best_found(NAME) == best.label
    assert words.confirmed(NAME) == f"{best.confirmed:.2f}"
    assert words.found_above(NAME).startswith(f"{sum(row.confirmed > 1 for row in found)} of ")
    assert words.verdict_table(NAME).count("\n") == len(judged(NAME).rows) + 1


def test_a_page_has_the_words_of_searches_beside_those_of_studies():
    names = set(Vocabulary((), quick=True).functions())
    assert {"scored", "optimism", "rate", "effect"} <= names
