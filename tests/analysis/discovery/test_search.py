"""The numbers of the page: standings, funnel, traits, sizes and ancestors."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from analysis.discovery import front, progress
from analysis.discovery.family import ancestors, changed
from analysis.discovery.funnel import funnel
from analysis.discovery.search import Search
from analysis.discovery.traits import TRAITS, size, survival, traits_of
from runs.discovery import status
from runs.discovery.mutation import _Mutation
from runs.discovery.plan import ARMS, MUTATION, NAMES, RANDOM
from runs.discovery.scoring import best_names, members
from runs.discovery.table import frame
from variants import GRU, Vanilla
from variants.formula.from_cell import equations_of
from variants.layers.recurrent import count_parameters

GRU_TEXT = "u = s(W_u x + R_u h'); r = s(W_r x + R_r h'); n = tanh(W_n x + R_n (r*h')); h = u*h' + (1 - u)*n"


@pytest.mark.parametrize("arm", ARMS)
def test_the_last_standings_are_the_members_of_the_search(search, plan, told, arm):
    expected = members(plan, told, arm)
    found = search.standings(arm)[-1]
    assert [(e.index, e.key, e.evaluations) for e in found] == [
        (m.first.index, m.first.key, len(m.blocks)) for m in expected
    ]
    np.testing.assert_allclose([e.score for e in found], [m.score for m in expected], rtol=1e-6)


def test_earlier_standings_are_the_last_ones_of_a_search_that_is_cut_off(search, plan, told):
    cut = Search(plan, frame(plan, [each for each in told if each.candidate.generation <= 2]))
    assert [e.key for e in search.mutants[2]] == [e.key for e in cut.mutants[-1]]


def test_a_cell_that_computes_the_same_as_another_one_stands_once(search, plan, told):
    first, second = search.best[:2]
    prints = {second.key: next(e.result.fingerprint for e in told if e.candidate.key == first.key)}
    same = [
        replace(e, result=replace(e.result, fingerprint=prints.get(e.candidate.key, e.result.fingerprint)))
        for e in told
    ]
    keys = {each.key for each in Search(plan, frame(plan, same)).mutants[-1]}
    assert len(keys & {first.key, second.key}) == 1


def test_the_names_of_the_gru_are_those_of_the_search(search, plan, told):
    assert search.names == pytest.approx(best_names(plan, told, NAMES))


@pytest.mark.parametrize("arm", ARMS)
def test_the_funnel_is_that_of_the_status(search, plan, told, arm):
    said = status.funnel(plan, told, arm)
    found = [gate.counts[arm] for gate in funnel(search)]
    names = ["drawn", "invalid", "there before", "new cells", "invalid when run", "the same as another", "failed"]
    toy, first = said[f"ended at {plan.toy}"], said[f"ended at {plan.tasks[0]}"]
    trained = toy + first + said["scored"]
    expected = [*(said[name] for name in names), trained, toy, trained - toy, first]
    assert found == [*expected, said["scored"], said["above the GRU"], said["evaluated again"]]


def test_the_gru_has_the_traits_of_its_equations():
    found = {name for name, has in zip(TRAITS, traits_of(GRU_TEXT), strict=True) if has}
    assert found == {"u·v + (1 − u)·w", "R (r·h′)", "σ", "tanh", "1 − v", "v · w"}


@pytest.mark.parametrize("other", ["h = u*h' + (1 - r)*n", "h = u*h' + (1 + u)*n", "h = u*h' + (1 - n)*r"])
def test_only_a_mixture_by_one_gate_is_one(other):
    text = GRU_TEXT.replace("h = u*h' + (1 - u)*n", other).replace("tanh", "relu")  # whose sign cannot be chosen
    assert not traits_of(text)[list(TRAITS).index("u·v + (1 − u)·w")]


def test_survival_is_the_share_of_the_pool(search, plan):
    shares = survival(search).set_index(["generation", "trait"])["pool"]
    pool = search.mutants[3][: plan.pool]
    own = [traits_of(each.equations)[list(TRAITS).index("relu")] for each in pool]
    assert shares[3, "relu"] == sum(own) / len(pool)


@pytest.mark.parametrize("cell", [GRU(), Vanilla()])
def test_the_size_of_a_cell_is_its_number_of_parameters(cell):
    assert size(equations_of(cell), units=5, inputs=3) == count_parameters(cell, 3, 5)


def test_no_cell_of_the_front_is_beaten_by_a_smaller_one(search):
    cells = front.numbers(search).cells
    found = cells[cells["label"] == ""]
    for row in found.itertuples():
        beaten = found[(found["size"] <= row.size) & (found["score"] >= row.score) & (found.index != row.Index)]
        assert row.front == (len(beaten) == 0)


def test_the_line_of_progress_is_the_best_score_of_its_arm(search):
    best = progress.numbers(search).best
    last = best[(best["arm"] == RANDOM) & (best["generation"] == 4)]["score"].item()
    assert last == max(each.score for each in search.random[-1])


def test_ancestors_go_back_to_a_cell_that_was_given(search):
    line = ancestors(search, max(search.best, key=lambda each: each.index).index)
    assert search.rows[line[0].number]["arm"] in ("reference", "start")
    for parent, child in pairwise(line):
        assert search.rows[child.number]["parents"].split(";")[0] == str(parent.number)


def test_lines_are_marked_that_the_parent_does_not_have(search):
    last = ancestors(search, search.best[0].index)[-1]
    parent = search.rows[int(search.rows[last.number]["parents"])]["equations"].splitlines()
    assert last.lines == [(line, line not in parent) for line, _ in last.lines]


def test_a_cell_that_is_its_own_ancestor_ends_the_line(search):
    table = search.table.assign(parents=search.table["index"].astype(str))
    assert len(ancestors(Search(search.plan, table), search.best[0].index)) == 1


def test_every_mutation_has_words():
    operations = [name.removeprefix("_") for name in vars(_Mutation) if name in _Mutation._admitted.__code__.co_consts]
    assert all(changed(name) != name for name in operations)


def test_a_search_without_candidates_beyond_the_references_has_no_best_cell(plan, told):
    only = Search(plan, frame(plan, told[: plan.blocks]))
    assert (only.best, [*only.known], len(survival(only))) == ([], ["gru"], 0)


def test_a_value_that_is_missing_counts_as_nothing(search):
    table = search.table.copy()
    table.loc[table["arm"] == "reference", "value_adding"] = np.nan
    assert all(pd.isna(each.score) or each.score == 0 for each in Search(search.plan, table).mutants[-1])
    assert MUTATION in {*table["arm"]}
