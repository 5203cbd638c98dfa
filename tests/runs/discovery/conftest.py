"""One small search that all tests read."""

from dataclasses import replace

import pytest

from runs.discovery.plan import CellPlan
from runs.discovery.search import CellSearch
from runs.study.design import Design
from runs.study.space import Dimension
from runs.study.storage.opening import open_storage
from runs.trial.trial import Model, Training
from runs.workers.worker import work

VARIANTS = {
    "gru": {"_target_": "variants.GRU", "label": "gru", "keep_bias": 1.0},
    "vanilla": {"_target_": "variants.Vanilla", "label": "vanilla", "keep_bias": 1.0},
}
TASKS = {
    "memorisation": {"_target_": "tasks.Copying", "label": "memorisation", "lag": 1, "length": 1, "symbols": 2},
    "delayed_recall": {
        "_target_": "tasks.DelayedRecall",
        "label": "delayed_recall",
        "lag": 3,
        "symbols": 2,
        "distractors": 2,
        "cues": 1,
    },
    "adding": {"_target_": "tasks.Adding", "label": "adding", "lag": 3},
}


def make_plan(**changes):
    """A plan of 17 candidates on tasks that are learned in a twentieth of a second."""
    design = Design(
        name="found",
        baseline="gru",
        variants=VARIANTS,
        tasks=TASKS,
        points=2,
        space={"learning_rate": Dimension(key="training.learning_rate", low=6e-3, high=3e-2, log=True)},
        initialisation={"_target_": "variants.GlorotOrthogonal", "label": "glorot_orthogonal"},
        model=Model(hidden_size=8),
        training=Training(budget=150, evaluations=15, evaluation_sequences=64, curve_sequences=32),
    )
    own = {name: changes.pop(name) for name in ("seed", "training", "name", "tasks") if name in changes}
    values = {
        "toy": "memorisation",
        "generations": 2,
        "mutants": 5,
        "fresh": 1,
        "names": 2,
        "pool": 4,
        "points": 1,
        "blocks": 2,
        "again": 0.5,
        "toy_reach": 0.95,
        "reach": 0.9,
        "budgets": {},
    }
    return CellPlan(design=replace(design, **own), **values | changes)


def tried(folder, plan, url=""):
    """The search of a plan, all of whose candidates this process has tried."""
    search = CellSearch.create(open_storage(url, folder), plan, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runs.workers.worker.stop_on_signal", lambda: lambda: False)
        while not search.finished():
            assert work(url, folder, plan.key)
    return search


def numbers(search):
    """What the candidates of a search are and what was found of them, without times."""
    return [(each.candidate, each.result.same) for each in search.told()]


@pytest.fixture(scope="session")
def searched(tmp_path_factory):
    """A search that is complete."""
    return tried(tmp_path_factory.mktemp("searched") / "found", make_plan())


@pytest.fixture(scope="session")
def told(searched):
    return searched.told()
