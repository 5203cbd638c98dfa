import pytest

from runs.names import CLASSES
from runs.study.design import Design
from runs.study.space import Dimension
from runs.trial.trial import Model, Training


def make_design(**changes):
    space = {
        "learning_rate": Dimension(key="training.learning_rate", low=1e-3, high=1e-1, log=True),
        "size": Dimension(key="model.hidden_size", low=4, high=9, log=True, integer=True),
    }
    values = {
        "name": "study",
        "baseline": "vanilla",
        "variants": {
            "vanilla": {"_target_": "variants.cells.lstm.Vanilla", "label": "vanilla"},
            "gru": {"_target_": "variants.cells.gru.GRU", "label": "gru"},
        },
        "tasks": {
            "adding": {"_target_": "tasks.synthetic.adding.Adding", "label": "adding", "lag": 4},
            "recall": {"_target_": "tasks.synthetic.delayed_recall.DelayedRecall", "label": "recall", "lag": 3},
        },
        "points": 3,
        "match": "parameters",
        "space": space,
        "initialisation": {"_target_": "variants.initialisation.GlorotOrthogonal", "label": "glorot_orthogonal"},
        "model": Model(),
        "training": Training(budget=6, evaluations=3, evaluation_sequences=8, batch_size=2),
    }
    return Design(**values | changes)


@pytest.fixture
def design():
    return make_design()


@pytest.fixture
def storage(tmp_path):
    """The storage of a study that has not been created."""
    from runs.study.storage.opening import open_storage

    return open_storage("", tmp_path / "study")


@pytest.fixture
def composed():
    """Composes a configuration: `composed("trial", overrides=[...])`."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from runs.configuration.schema import register
    from runs.console.early import CONF

    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield compose


@pytest.fixture(autouse=True)
def no_class_is_allowed(monkeypatch):
    """What one test lets be imported, no other does."""
    monkeypatch.setenv(CLASSES, "")


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """A database of MLflow without runs: its tables take seconds to make."""
    from runs.record.tracking import Tracker

    folder = tmp_path_factory.mktemp("empty")
    Tracker(folder)
    return folder / "mlflow.db"
