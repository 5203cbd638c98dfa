"""Names become folders, files, columns and commands: one rule refuses those that could not."""

import sys

import pytest

from analysis import __main__ as analysis
from analysis.notebooks import __main__ as notebooks
from runs import inside, tracking
from runs.arguments import command
from runs.names import checked_name
from runs.study.design import Design
from tests.runs.conftest import make_design
from variants.cells.gru import GRU


class Mine(GRU):
    """A cell of the user's own, imported before it is named."""


BAD = [
    "",
    ".",
    "..",
    "../../x",
    "a/b",
    "/tmp/x",
    "a b",
    "a$b",
    "it's",
    'a"b',
    "a\nb",
    "a\\b",
    "-rf",
    ".hidden",
    "ü",
    "x" * 65,
    "a;b",
    None,
    3,
]
TEXTS = [name for name in BAD if isinstance(name, str)]


@pytest.mark.parametrize("name", BAD, ids=repr)
def test_a_bad_name_is_refused_with_the_thing_the_rule_and_the_value(name):
    with pytest.raises(ValueError, match=r"^name of a cat must be 1 to 64 letters .*, got ") as raised:
        checked_name(name, "name of a cat")
    assert str(raised.value).endswith(repr(name)) or repr(name)[:20] in str(raised.value)


@pytest.mark.parametrize("name", ["quick", "adding_400", "v1.2-b", "_x", "A", "0", "x" * 64])
def test_a_good_name_is_given_back(name):
    assert checked_name(name, "name") == name


@pytest.mark.parametrize("name", TEXTS, ids=repr)
def test_a_design_refuses_a_bad_name_of_its_study(name):
    with pytest.raises(ValueError, match="name of a study must be"):
        make_design(name=name)


@pytest.mark.parametrize(("part", "thing"), [("variants", "variant"), ("tasks", "task"), ("space", "hyperparameter")])
def test_a_design_refuses_a_bad_name_of_its_parts(design, part, thing):
    first, *others = getattr(design, part).items()
    with pytest.raises(ValueError, match=f"name of a {thing} must be .* got '../x'"):
        make_design(**{part: {"../x": first[1], **dict(others)}, "baseline": "gru"})


def test_a_design_from_a_storage_is_held_to_the_same_rule(design):
    with pytest.raises(ValueError, match="name of a study must be"):
        Design.from_dict({**design.as_dict(), "name": "../../outside"})


def test_a_label_inside_a_node_is_held_to_the_rule(design):
    with pytest.raises(ValueError, match="label of variant gru must be"):
        make_design(variants={**design.variants, "gru": {**design.variants["gru"], "label": "a\nb"}})


@pytest.mark.parametrize(
    "design", [{"name": "x", "variants": ["a", "$b"]}, {"name": "x", "tasks": [{"label": "../t"}]}, {"name": ".."}, []]
)
def test_plain_values_of_a_design_are_held_to_the_rule(design):
    with pytest.raises(ValueError, match="must be"):
        Design.from_dict(design)


@pytest.mark.parametrize("main", [analysis.main, notebooks.main, inside.main, tracking.main])
@pytest.mark.parametrize("name", ["../x", "..", "a b"])
def test_a_command_refuses_a_bad_name_before_it_writes(main, name, tmp_path, capsys):
    assert main([f"study={name}", f"results={tmp_path / 'results'}"]) == 2
    assert (
        "study must be 1 to 64 letters (a-z, A-Z), digits, '_', '-' or '.', and begin with a letter, digit or '_', "
        f"got {name!r}" in (capsys.readouterr().err)
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["..", ".", "'a b'", "../../x", "a$b", "x" * 300])
def test_a_study_of_a_bad_name_leaves_nothing_behind(name, monkeypatch, capsys, tmp_path):
    from runs import sweep
    from tests.runs.configuration.test_command_line import call

    results = tmp_path / "deep" / "results"
    code, _, err = call(monkeypatch, capsys, sweep.main, "sweep", "study=smoke", f"name={name}", f"results={results}")
    assert (code, list(tmp_path.iterdir())) == (2, [])
    assert err.startswith("error: name of a study must be 1 to 64 letters")


def test_a_command_to_paste_is_quoted(monkeypatch):
    monkeypatch.delenv("LSTM_VARIANTS_CLASSES", raising=False)
    assert command("runs.tracking", study="quick", results="my results; rm x") == (
        "python -m runs.tracking study=quick 'results=my results; rm x'"
    )


def test_a_command_to_paste_carries_the_classes_that_the_user_named(monkeypatch):
    monkeypatch.setenv("LSTM_VARIANTS_CLASSES", "my.Cell,a b")
    assert command("analysis", study="mine") == "LSTM_VARIANTS_CLASSES='my.Cell,a b' python -m analysis study=mine"


def test_a_class_that_a_file_names_is_not_imported(tmp_path, monkeypatch):
    from runs.trial.classes import construct
    from variants import Cell

    (tmp_path / "evil_of_a_stranger.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ValueError,
        match=r"'evil_of_a_stranger.C' is no class of this suite.*LSTM_VARIANTS_CLASSES=evil_of_a_stranger.C",
    ):
        construct({"_target_": "evil_of_a_stranger.C"}, Cell)
    assert "evil_of_a_stranger" not in sys.modules


def test_a_module_that_makes_its_attributes_is_not_asked(monkeypatch):
    from types import ModuleType

    from runs.trial.classes import construct
    from variants import Cell

    module, asked = ModuleType("lazy_module"), []
    module.__getattr__ = asked.append
    monkeypatch.setitem(sys.modules, "lazy_module", module)
    with pytest.raises(ValueError, match="no class of this suite"):
        construct({"_target_": "lazy_module.C"}, Cell)
    assert asked == []


def test_what_a_message_gives_to_paste_is_quoted():
    from runs.trial.classes import construct
    from variants import Cell

    with pytest.raises(ValueError, match=r"LSTM_VARIANTS_CLASSES='a.b; rm -rf x' in the environment"):
        construct({"_target_": "a.b; rm -rf x"}, Cell)


def test_a_class_that_the_user_allows_is_imported_here_and_in_started_processes(tmp_path, monkeypatch):
    import os

    from runs.names import CLASSES
    from runs.trial.classes import allow, construct
    from variants import Cell

    (tmp_path / "cell_of_a_friend.py").write_text("from variants.cells.gru import GRU\n\n\nclass C(GRU):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(CLASSES, "")
    allow(["variants.cells.lstm.Vanilla", "cell_of_a_friend.C"])
    assert os.environ[CLASSES] == "cell_of_a_friend.C"
    assert type(construct({"_target_": "cell_of_a_friend.C"}, Cell)).__module__ == "cell_of_a_friend"


def test_a_class_of_a_module_that_is_imported_already_is_allowed_in_started_processes(monkeypatch):
    import os
    from types import ModuleType

    from runs.names import CLASSES
    from runs.trial.classes import allow

    monkeypatch.setenv(CLASSES, "package_of_a_friend.Cell")
    module = ModuleType("package_of_a_friend")
    module.Task = type("Task", (), {})
    monkeypatch.setitem(sys.modules, "package_of_a_friend", module)
    allow(["package_of_a_friend.Task", "tasks.synthetic.adding.Adding"])
    assert os.environ[CLASSES] == "package_of_a_friend.Cell,package_of_a_friend.Task"


def test_a_class_that_is_refused_is_to_be_named_beside_those_that_are_allowed(monkeypatch):
    from runs.names import CLASSES
    from runs.trial.classes import construct
    from variants import Cell

    monkeypatch.setenv(CLASSES, "first.Cell")
    with pytest.raises(ValueError, match=r"set LSTM_VARIANTS_CLASSES=first\.Cell,second\.Cell in the environment"):
        construct({"_target_": "second.Cell"}, Cell)


def test_a_preset_of_the_users_own_may_name_a_class_of_theirs(monkeypatch, tmp_path):
    from omegaconf import DictConfig

    from runs.configuration import nodes
    from runs.names import CLASSES
    from runs.trial.classes import construct
    from variants import Cell

    (tmp_path / "cell_in_a_preset.py").write_text("from variants.cells.gru import GRU\n\n\nclass C(GRU):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(CLASSES, "")
    monkeypatch.setattr(
        nodes, "_composed", lambda group, choice: DictConfig({"_target_": "cell_in_a_preset.C", "label": choice})
    )
    assert type(construct(nodes.variant_node("mine"), Cell)).__name__ == "C"


def test_what_is_imported_already_needs_no_permission():
    from runs.trial.classes import construct
    from variants import Cell

    assert type(construct({"_target_": f"{__name__}.Mine"}, Cell)) is Mine


@pytest.mark.parametrize("target", ["os.system", "subprocess.Popen", "runs.trial.trial.Trial", 3, None])
def test_only_a_class_of_the_kind_is_called(target):
    from runs.trial.classes import construct
    from variants import Cell

    with pytest.raises(ValueError, match=r"must be a subclass|no class of this suite"):
        construct({"_target_": target}, Cell)
