"""Every variant is documented, written a second time and pinned; names are unique; the folder stands on its own."""

import ast
import inspect
import sys
from pathlib import Path

import pytest

import tasks
import variants
from tasks import Task
from tests import reference
from tests.golden import cells as golden
from tests.variants.cases import OTHER_KNOBS, REGISTERED
from variants import Cell, Gate, Scheme, feed, knobs_of
from variants.catalogue import equations, formula, relation
from variants.cells.lstm import LSTMState

FOLDER = Path(inspect.getfile(Cell)).parent
ALL = [pytest.param(cls, id=name) for name, cls in Cell.registry.items()]
OWN = [pytest.param(cls, id=name) for name, cls in REGISTERED.items()]


@pytest.mark.parametrize("cls", OWN)
def test_a_variant_has_a_reference(cls):
    assert cls.name in reference.STEPS, f"{cls.name}: write its step in NumPy in tests/reference.py"


@pytest.mark.parametrize("cls", OWN)
def test_a_variant_has_golden_numbers(cls):
    assert golden.path(cls.name).exists(), f"{cls.name}: write its golden numbers with `python -m tests.golden`"


@pytest.mark.parametrize("cls", ALL)
def test_a_variant_has_a_source(cls):
    assert "source" in vars(cls), f"{cls.name}: say in `source` where its definition comes from"
    assert "Source:" in inspect.getdoc(cls), f"{cls.name}: say in the docstring where its definition comes from"


@pytest.mark.parametrize("cls", ALL)
def test_a_docstring_has_equations(cls):
    assert any("=" in line for line in equations(cls)) or relation(cls), (
        f"{cls.name}: write its equations, indented, in the docstring"
    )


@pytest.mark.parametrize("cls", ALL)
def test_a_docstring_has_the_number_of_parameters(cls):
    assert formula(cls), f"{cls.name}: write `Parameters: 4H(I+H+1).` into the docstring"


@pytest.mark.parametrize("cls", OWN)
def test_every_knob_has_a_value_to_test(cls):
    missing = [knob for knob in knobs_of(cls) if knob not in OTHER_KNOBS]
    assert not missing, f"{cls.name}: give OTHER_KNOBS in tests/variants/cases.py another value of {', '.join(missing)}"


@pytest.mark.parametrize("cls", OWN)
def test_every_knob_is_typed_and_keyword_only_and_has_a_default(cls):
    for knob, parameter in knobs_of(cls).items():
        assert parameter.kind is parameter.KEYWORD_ONLY, f"{cls.name}: {knob} must be keyword-only"
        assert parameter.default is not parameter.empty, f"{cls.name}: {knob} must have a default"
        assert parameter.annotation is not parameter.empty, f"{cls.name}: {knob} must have a type"


@pytest.mark.parametrize("cls", OWN)
def test_a_cell_can_be_built_again_from_its_knobs(cls):
    assert cls(**cls().knobs).knobs == cls().knobs


def test_golden_numbers_belong_to_a_variant():
    assert {p.stem for p in golden.FOLDER.glob("*.json")} == set(REGISTERED), (
        "delete golden numbers of variants that are gone"
    )


def test_references_belong_to_a_variant():
    assert set(reference.STEPS) == set(REGISTERED)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        pytest.param(Cell, "variant name 'gru' is used twice: variants.cells.gru.GRU and {}", id="variant"),
        pytest.param(Task, "task name 'adding' is used twice: tasks.synthetic.adding.Adding and {}", id="task"),
        pytest.param(
            Scheme,
            "initialisation name 'chrono' is used twice: variants.initialisation.Chrono and {}",
            id="initialisation",
        ),
    ],
)
def test_a_name_used_twice_is_refused_by_the_same_message_in_all_registries(base, message):
    known, name = dict(base.registry), message.split("'")[1]
    try:
        with pytest.raises(TypeError) as refused:
            type("Impostor", (base,), {"__module__": "mine"}, name=name)
        assert str(refused.value) == message.format("mine.Impostor")
        assert base.registry == known, "the first class keeps its name"
    finally:
        base.registry.clear()
        base.registry.update(known)


def test_a_class_without_a_name_is_not_a_variant():
    class Nameless(Cell.registry["gru"]):
        pass

    assert Nameless not in Cell.registry.values()


def test_a_class_elsewhere_becomes_a_variant_by_its_name():
    known = dict(Cell.registry)
    try:

        class Mine(Cell, name="mine"):
            pass

        assert Cell.registry["mine"] is Mine
    finally:
        Cell.registry.clear()
        Cell.registry.update(known)


def test_a_gate_that_hears_nothing_known_is_named():
    class Deaf(Cell):
        State = LSTMState
        gates = (Gate("z", hears=("sound",)),)

    with pytest.raises(ValueError, match="Deaf: gate 'z' hears 'sound', which is no state field and no @feed"):
        Deaf().sources  # noqa: B018


def test_gates_that_hear_the_same_must_be_neighbours():
    class Scattered(Cell):
        State = LSTMState
        gates = ("z", Gate("i"), "o")

    with pytest.raises(ValueError, match="Scattered: the gates that hear 'y' must be neighbours"):
        Scattered().sources  # noqa: B018


def test_a_feed_is_heard_after_the_state():
    class Fed(Cell):
        State = LSTMState
        gates = (Gate("z", hears=("doubled",)), Gate("i", hears=("y",)))

        @feed
        def doubled(self, a, s, p):
            return 2.0 * s.y

    assert [s.name for s in Fed().sources] == ["y", "doubled"]


def test_a_cell_without_a_step_says_so():
    class Empty(Cell):
        State = LSTMState

    with pytest.raises(NotImplementedError, match="Empty does not define step"):
        Empty().step(None, None, None)


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda p: p.relative_to(FOLDER).as_posix())
def test_a_file_of_variants_imports_torch_and_the_standard_library_only(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").partition(".")[0])
    engine = {"numba", "llvmlite", "numpy", "scipy"} if "engine" in path.parts else set()
    # of the command; tests/test_house.py says what of it
    names -= {"runs"} if path.name in ("__init__.py", "__main__.py") else set()
    typing = {"typing_extensions"} if path.name == "cell.py" else set()  # torch needs it as well
    wrong = names - {"torch"} - typing - engine - set(sys.stdlib_module_names)
    assert not wrong, f"{path.name} imports {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("cls", [*Cell.registry.values(), *Scheme.registry.values()], ids=lambda cls: cls.__name__)
def test_a_registered_class_can_be_imported_from_the_package(cls):
    assert getattr(variants, cls.__name__) is cls


@pytest.mark.parametrize(("package", "base"), [(variants, Cell), (tasks, Task)], ids=["variants", "tasks"])
def test_a_class_that_is_registered_elsewhere_is_not_a_name_of_the_package(package, base):
    try:
        type("Foreign", (base,), {"__module__": "mine"}, name="foreign")
        with pytest.raises(AttributeError, match="has no attribute 'Foreign'"):
            package.Foreign  # noqa: B018
    finally:
        base.registry.pop("foreign")


@pytest.mark.parametrize("name", ["LowestGrid", "Peephol"])
def test_the_package_has_no_other_names(name):
    with pytest.raises(AttributeError, match=f"module 'variants' has no attribute '{name}'"):
        getattr(variants, name)
