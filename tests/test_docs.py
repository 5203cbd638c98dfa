"""What the documents show is run as it stands there."""

import importlib
import re
from pathlib import Path

import pytest

from runs.configuration.nodes import variant_node
from runs.configuration.trial import check
from runs.trial.training import run
from runs.trial.trial import Model, Training, Trial
from tasks import Task
from variants import Cell

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The cell of CONTRIBUTING in a module of its own, outside the project; forgotten again afterwards."""
    code = re.search(r"## Add a variant.*?```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S).group(1)
    (tmp_path / "a_users_package.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    before = dict(Cell.registry)
    yield variant_node("a_users_package.MinimalGated")
    Cell.registry.clear()
    Cell.registry.update(before)
    importlib.invalidate_caches()


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_the_cell_of_the_recipe_joins_a_study_by_its_import_path(example, engine):
    assert example["label"] == "minimal_gated"
    outcome = run(
        Trial(
            variant=example,
            task={"_target_": "tasks.synthetic.adding.Adding", "label": "adding", "lag": 5},
            initialisation={"_target_": "variants.initialisation.GlorotOrthogonal"},
            model=Model(hidden_size=4, engine=engine),
            training=Training(budget=3, evaluation_sequences=8),
        )
    )
    assert (outcome.status, outcome.engine, outcome.error) == ("finished", engine, "")


def test_the_task_of_the_recipe_keeps_the_contract_and_trains_by_its_import_path(tmp_path, monkeypatch):
    code = re.search(r"## Add a task.*?```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S).group(1)
    (tmp_path / "a_users_task.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(Task, "registry", dict(Task.registry))
    node = {"_target_": "a_users_task.Parity", "label": "parity", "lag": 3}
    trial = Trial(
        variant={"_target_": "variants.cells.lstm.Vanilla", "label": "vanilla"},
        task=node,
        initialisation={"_target_": "variants.initialisation.GlorotOrthogonal", "label": "glorot_orthogonal"},
        model=Model(hidden_size=4),
        training=Training(budget=3, evaluation_sequences=8),
    )
    check(trial)
    assert run(trial).status == "finished"
    importlib.invalidate_caches()


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_file_that_a_document_links_to_is_there(document):
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / document).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_that_a_document_names_exists(document):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]+)", (ROOT / document).read_text(), re.M))
    assert named <= targets
