"""The gates that watching a step finds are those of the formula."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, sigmoid, tanh

from tests.variants.cases import DEFAULTS, generator, inputs_of, module_of, same
from variants import Cell, Recurrent
from variants.engine.ir.gates import AS_IT_IS
from variants.layers.watch import watching

GATES = {  # of the highest of two layers, with the squashing function of each
    "vanilla": {"z": "tanh", "i": "sigmoid", "f": "sigmoid", "o": "sigmoid"},
    "coupled": {"z": "tanh", "i": "sigmoid", "o": "sigmoid"},
    "no_input_gate": {"z": "tanh", "f": "sigmoid", "o": "sigmoid"},
    "no_input_activation": {"z": AS_IT_IS, "i": "sigmoid", "f": "sigmoid", "o": "sigmoid"},
    "full_gate_recurrence": {"z": "tanh"},  # its other gates are fields of the state
    "lstm_1997": {"z": "tanh, rescaled", "i": "sigmoid", "o": "sigmoid"},
    "memory_blocks": {"z1": "tanh, rescaled", "z2": "tanh, rescaled"},  # its gates are fields of the state
    "depth_gated": {"z": "tanh", "i": "sigmoid", "f": "sigmoid", "o": "sigmoid", "d": "sigmoid"},
    "gru": {"r": "sigmoid", "u": "sigmoid", "n": "tanh"},
    "gru_reset_after": {"r": "sigmoid", "u": "sigmoid", "m": AS_IT_IS, "n": "tanh"},
    "mut1": {"u": "sigmoid", "r": "sigmoid", "p": "tanh", "n": "tanh"},
    "clockwork": {"h": "tanh"},
    "rnn": {},
    "grid": {g: "tanh" if g.startswith("z") else "sigmoid" for g in ("zt", "it", "ft", "ot", "zd", "id", "fd", "od")},
}


def watched(module, inputs):
    with watching(module) as watch:
        outputs, _ = module(inputs)
    return watch, outputs


@pytest.mark.parametrize("name", GATES)
def test_gates_and_their_functions_are_those_of_the_formula(name):
    module = module_of(Cell.registry[name]())
    watch, _ = watched(module, inputs_of())
    assert watch.gates(1).functions == GATES[name]
    assert list(watch.gates(1).functions) == [g.name for g in module.cells[1].preactivations if g.name in GATES[name]]


@pytest.mark.parametrize("cell", DEFAULTS)
def test_every_gate_has_a_value_for_each_step_sequence_and_unit_or_is_a_state(cell):
    module = module_of(cell)
    watch, _ = watched(module, inputs_of(7, 3))
    for layer in range(module.layers):
        gates = watch.gates(layer).values
        assert all(value.shape == (7, 3, module.hidden_size) for value in gates.values())
        seen = {name.partition("(")[2].rstrip(")") or name for name in gates}  # sigmoid(u) and tanh(u) are of u
        unseen = {g.name for g in module.cells[layer].preactivations} - seen
        assert unseen <= {*module.cells[layer].State._fields}, f"{cell.name}: no value was found for {unseen}"


@pytest.mark.parametrize("cell", DEFAULTS)
def test_watching_changes_nothing(cell):
    module, inputs = module_of(cell), inputs_of()
    before = module.cells
    _, outputs = watched(module, inputs)
    assert torch.equal(outputs, module(inputs)[0])
    assert module.cells is before
    assert all("step" not in vars(c) for c in module.cells)


def test_gates_of_an_lstm_with_peepholes_give_its_states_by_the_formula():
    module = module_of(Cell.registry["peephole"](), layers=1)
    with watching(module) as watch:
        _, states, state = [], [], None
        for x in inputs_of():
            _, state = module(x.unsqueeze(0), state)
            states.append(state[0])
    gates, c = watch.gates(0).values, torch.zeros_like(states[0].c)
    for t, s in enumerate(states):
        c = gates["f"][t] * c + gates["i"][t] * gates["z"][t]
        same(s.c, c)
        same(s.y, gates["o"][t] * tanh(c))


class TwoState(NamedTuple):
    h: Tensor
    m: Tensor


class Odd(Cell):
    """Two terms in one gate, one gate with two functions, a scaled term, a complement beside the plain value."""

    State = TwoState
    gates = ("a", "b", "k", "q")
    vectors = ("gain",)

    def step(self, a, s, p):
        both = sigmoid(a.a + a.b + s.m)
        k = sigmoid(2.0 * p.gain * a.k)
        return TwoState(h=both * s.h + (1 - both) * k * torch.relu(a.k), m=s.m + k * a.q)


def test_names_follow_the_terms_of_a_users_step():
    module = Recurrent(Odd(), 2, 3, engine="eager")
    watch, _ = watched(module, torch.randn(4, 1, 2))
    assert watch.gates(0).functions == {"a+b": "sigmoid", "sigmoid(k)": "sigmoid", "relu(k)": "relu", "q": AS_IT_IS}


class Forms(Cell):
    """A cell whose new state is given by a function of (a, s)."""

    State = TwoState
    gates = ("k", "q")

    def __init__(self, new):
        self._new = new

    def step(self, a, s, p):
        return TwoState(*self._new(a, s))


@pytest.mark.parametrize(
    ("new", "functions"),
    [
        pytest.param(
            lambda a, s: (sigmoid(a.k - a.q) * s.h, s.m + s.h), {"k+q": "sigmoid"}, id="a difference is a sum"
        ),
        pytest.param(
            lambda a, s: (tanh(m := s.m + a.q) * sigmoid(a.k), m),
            {"k": "sigmoid", "q": AS_IT_IS},
            id="what squashes a new state is no gate",
        ),
        pytest.param(
            lambda a, s: (s.h * (1.0 / sigmoid(a.k)), s.m * tanh(a.q)),
            {"k": "sigmoid", "q": "tanh"},
            id="a reciprocal is no rescaling",
        ),
        pytest.param(
            lambda a, s: (s.h * (tanh(a.k) / 2.0), s.m * tanh(a.q)),
            {"k": "tanh, rescaled", "q": "tanh"},
            id="a quotient by a constant is a rescaling",
        ),
        pytest.param(lambda a, s: (2.0 * sigmoid(a.k), s.m * tanh(a.q)), {"q": "tanh"}, id="a new state is no gate"),
    ],
)
def test_gates_follow_the_form_of_a_step(new, functions):
    module = Recurrent(Forms(new), 2, 3, engine="eager")
    watch, _ = watched(module, torch.randn(4, 1, 2, generator=generator()))
    assert watch.gates(0).functions == functions


def test_of_a_rescaled_and_a_plain_value_the_plain_one_is_shown():
    module = Recurrent(
        Forms(lambda a, s: (s.h * (2.0 * sigmoid(a.k)), s.m * sigmoid(3.0 * a.k) * tanh(a.q))), 2, 3, engine="eager"
    )
    inputs, part = torch.randn(1, 1, 2, generator=generator()), module.parts[0]
    watch, _ = watched(module, inputs)
    k = inputs[0] @ part["W_k"].T + part["b_k"]  # the first state is 0
    assert watch.gates(0).functions["k"] == "sigmoid"
    torch.testing.assert_close(watch.gates(0).values["k"][0], sigmoid(3.0 * k))


def test_a_gate_that_is_not_there_at_every_step_is_left_out():
    def new(a, s):
        k = tanh(a.k) if bool(s.m[0, 0] < 0.75) else sigmoid(a.k) * torch.relu(a.k)
        return k * tanh(a.q) + s.h, s.m + torch.ones_like(s.m)

    watch, _ = watched(Recurrent(Forms(new), 2, 3, engine="eager"), torch.randn(4, 1, 2, generator=generator()))
    assert watch.gates(0).functions == {"q": "tanh"}


def test_a_fused_module_is_refused():
    with (
        pytest.raises(ValueError, match=r"vanilla: only the eager engine can be watched, got 'fused'"),
        watching(Recurrent(Cell.registry["vanilla"](), 2, 3)),
    ):
        pass


def test_a_module_that_was_last_run_by_the_eager_engine_is_watched():
    module = Recurrent(Cell.registry["vanilla"](), 4, 5)
    module.double()(inputs_of())
    assert module.float().engine == "eager"
    watch, _ = watched(module, inputs_of().float())
    assert {n: v.shape for n, v in watch.gates(0).values.items()} == dict.fromkeys("zifo", (7, 3, 5))
    module(inputs_of().float())
    assert module.engine == "fused"


class HiddenState(NamedTuple):
    h: Tensor


class Sharing(Cell):
    """Calls a function that is not elementwise, so that only the eager engine runs it; then squashes in a view."""

    State = HiddenState
    gates = ("f", "n", "k")

    def step(self, a, s, p):
        f = sigmoid(a.f)
        k = tanh(a.k.unsqueeze(0)).squeeze(0)
        return HiddenState(h=f * s.h + (1 - f) * torch.softmax(a.n, dim=-1) * k)


def test_a_cell_that_cannot_be_fused_shows_its_gates():
    module = Recurrent(Sharing(), 2, 3)
    assert module.why_eager
    inputs = torch.randn(4, 1, 2, generator=generator())
    watch, _ = watched(module, inputs)
    assert watch.gates(0).functions == {"f": "sigmoid", "n": AS_IT_IS, "k": "tanh"}
    first = module.parts[0]
    expected = sigmoid(inputs[0] @ first["W_f"].T + first["b_f"])  # the first state is 0
    torch.testing.assert_close(watch.gates(0).values["f"][0], expected)
