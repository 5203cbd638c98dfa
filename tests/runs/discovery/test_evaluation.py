"""The gates of a candidate, and that no cell is drawn twice."""

from itertools import cycle

import pytest

from runs.discovery.candidate import SCORED, Candidate
from runs.discovery.evaluation import Evaluation, Known
from runs.discovery.graph import Graph
from runs.discovery.mutation import Mutant
from runs.discovery.plan import MUTATION, START
from runs.discovery.proposing import proposed
from runs.discovery.trials import Trials
from runs.trial.trial import Outcome
from tests.runs.discovery.conftest import make_plan

PLAN = make_plan()
TOY, FIRST, SECOND = PLAN.stages
EQUATIONS = "h = tanh(W x + R h' + b)"


def tried(monkeypatch, scores, arm=MUTATION):
    """What is found of a candidate whose trials have these scores, where those of the GRU have 1."""
    made = iter(scores)

    def outcomes(*of, **how):
        return Outcome(status="finished", budget=100, score=next(made))

    monkeypatch.setattr("runs.discovery.evaluation.run", outcomes)
    cell = Candidate(index=0, generation=1, arm=arm, operation="mutate", equations=EQUATIONS, key="")
    gru = {task: [[1.0]] * PLAN.blocks for task in PLAN.stages}
    return Evaluation(PLAN, Trials(PLAN), cell, Known(gru, {}), lambda: False).result()


@pytest.mark.parametrize(
    ("scores", "status"),
    [
        ((0.94,), TOY),
        ((0.95, 0.89), FIRST),
        ((0.95, 0.9, 0.0), SCORED),
    ],
)
def test_a_candidate_ends_at_the_first_gate_that_it_does_not_reach(monkeypatch, scores, status):
    found = tried(monkeypatch, scores)
    assert (found.status, len(found.values)) == (status, len(scores))


def test_the_ratio_of_a_candidate_is_that_of_its_worst_task(monkeypatch):
    assert tried(monkeypatch, (1.0, 0.95, 0.25)).ratio == 0.25


def test_a_known_cell_passes_all_gates(monkeypatch):
    assert tried(monkeypatch, (0.0, 0.0, 0.0), START).status == SCORED


def test_no_cell_is_drawn_twice_in_a_generation(monkeypatch):
    cells = ["h = tanh(W x + R h' + b)", "h = s(W x + R h' + b)", "h = tanh(W x + R h')"]
    drawn = cycle(Graph.read(equations) for equations in cells)
    monkeypatch.setattr("runs.discovery.proposing.mutant", lambda graph, generator: Mutant(next(drawn), ()))
    plan = make_plan(mutants=4, fresh=0, names=0, again=0.0)
    found = [each for each in proposed(plan, 1, []) if each.arm == MUTATION]
    assert len({each.key for each in found[:3]}) == 3
    assert found[3].equations == ""
