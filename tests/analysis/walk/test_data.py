"""Tests of the data and the text of the page of a walk."""

import copy
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from analysis.walk import data as walk_data
from analysis.walk.data import View, page_data, telling_unit
from analysis.walk.network import one_sequence
from analysis.walk.page import Asked, page
from analysis.walk.parts import parts
from tasks import Batch
from tests.analysis.walk.walks import moments_of, trained, unpacked


@pytest.fixture(scope="module")
def vanilla():
    """The LSTM on adding: its training, its numbers before and after, and the sequence."""
    found = trained("variant=vanilla", "task.lag=6", "hidden_size=5")
    return found, *moments_of(found)


def test_rows_are_the_values_then_the_derivatives_of_the_parts(vanilla):
    found, moments, batch = vanilla
    data = page_data(moments, View(0, 2), found.task, batch)
    packed = unpacked(data)
    for m, moment in enumerate(moments):
        layer = moment.numbers.layers[0]
        for k, part in enumerate(parts(layer.cell, layer.derivation)):
            np.testing.assert_allclose(packed[m, k], layer.values[part.node].T, rtol=1e-6, atol=1e-12)
            slopes = packed[m, len(data["parts"]) + k]
            np.testing.assert_allclose(slopes, layer.slopes[part.node].T, rtol=1e-6, atol=1e-12)


def test_the_terms_come_last(vanilla):
    found, moments, batch = vanilla
    data = page_data(moments, View(0, 0), found.task, batch)
    last = unpacked(data)[1, -1]
    terms = moments[1].numbers.layers[0].terms
    np.testing.assert_allclose(last, list(terms.values())[-1].expand(6, -1).T, rtol=1e-6)
    assert [term["gate"] for term in data["terms"]] == [gate for gate, _ in terms]


def test_a_page_that_would_be_too_large_has_fewer_units_around_the_chosen_one(vanilla, monkeypatch):
    found, moments, batch = vanilla
    whole = len(page_data(moments, View(0, 3), found.task, batch)["numbers"])
    monkeypatch.setattr(walk_data, "BUDGET", whole * 3 // 5)
    data = page_data(moments, View(0, 3), found.task, batch)
    assert data["kept"] == [3, 4, 5]
    assert len(data["numbers"]) <= whole * 3 // 5


def test_and_then_fewer_steps(vanilla, monkeypatch):
    found, moments, batch = vanilla
    whole = len(page_data(moments, View(0, 3), found.task, batch)["numbers"])
    monkeypatch.setattr(walk_data, "BUDGET", whole // 10)
    data = page_data(moments, View(0, 3), found.task, batch)
    assert (data["kept"], data["steps"]) == ([4], 3)


def test_derivatives_that_are_not_those_of_the_engine_are_not_shown(vanilla):
    found, moments, batch = vanilla
    wrong = [m._replace(numbers=m.numbers._replace(slope_error=0.01)) for m in moments]
    data = page_data(wrong, View(0, 0), found.task, batch)
    assert not data["trusted"]
    assert "The derivatives are left out" in page(found, wrong, View(0, 0), batch, Asked([]))


def test_target_and_answers_stand_at_the_step_at_which_they_are_read(vanilla):
    found, moments, batch = vanilla
    data = page_data(moments, View(0, 0), found.task, batch)
    assert data["targets"] == ["", "", "", "", "", f"{batch.targets.item():.2f}"]
    assert [texts[-1] for texts in data["answers"]] == [f"{m.numbers.answers.item():.2f}" for m in moments]
    assert data["marked"] == found.task.relevant(batch)[:, 0].tolist()


def test_classes_are_told_with_their_probability_and_symbols_by_their_number():
    found = trained("task=copying", "task.lag=4", "hidden_size=4")
    moments, batch = moments_of(found)
    data = page_data(moments, View(0, 0), found.task, batch)
    assert data["inputs"] == [{"name": "symbol", "values": batch.inputs[:, 0].argmax(-1).tolist(), "text": True}]
    assert re.fullmatch(r"\d+ \(\d+%\)", data["answers"][0][-1])


@pytest.mark.parametrize("unit", [1, 3])
def test_the_most_telling_unit_is_the_one_whose_output_moves_the_answer_most(vanilla, unit):
    found, moments, _ = vanilla
    _, every = one_sequence(found.task, found.trial, 0)
    network = copy.deepcopy(found.after)
    with torch.no_grad():
        network.readout.weight[:, unit] = 1e3
    assert telling_unit(network, moments[1], 0, every) == unit


def test_a_unit_that_is_large_but_never_changes_tells_nothing(vanilla):
    found, moments, _ = vanilla
    _, every = one_sequence(found.task, found.trial, 0)
    outputs = torch.full((4, 3, 5), 7.0)
    outputs[::2, :, 3] = -1.0
    still = SimpleNamespace(
        recurrent=lambda *_, **__: (outputs, None), readout=SimpleNamespace(weight=torch.ones(1, 5))
    )
    assert telling_unit(still, moments[1], 0, every) == 3


def test_an_answer_without_weight_is_not_shown():
    reads, weights = torch.tensor([[1], [3], [3]]), torch.tensor([[1.0], [0.0], [2.0]])
    batch = Batch(torch.zeros(5, 1, 2), torch.zeros(3, 1, 1), reads, weights=weights)
    assert walk_data._by_step(batch, ["a", "b", "c"], 5) == ["", "a", "", "c", ""]


def test_the_data_of_the_page_are_those_and_text_from_outside_is_escaped(vanilla):
    found, moments, batch = vanilla
    nasty = "</script><img src=x>"
    text = page(found, moments, View(0, 2), batch, Asked(["variant=vanilla", f"out={nasty}"], source=nasty))
    assert nasty not in text
    stored = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    expected = page_data(moments, View(0, 2), found.task, batch)
    assert json.loads(stored[1]) == json.loads(json.dumps(expected))


def test_the_page_says_how_its_network_was_trained(vanilla):
    found, moments, batch = vanilla
    text = " ".join(page(found, moments, View(0, 2), batch, Asked([])).split())
    outcome = found.outcome
    assert f"{outcome.steps} updates of 32 sequences with Adam" in text
    before, after = outcome.in_unit(outcome.curve_losses[0]), outcome.in_unit(outcome.test_loss)
    assert f"was {before} before the training and {after} after it" in text


def test_a_cell_that_cannot_be_drawn_has_a_table_and_the_reason(vanilla, monkeypatch):
    from analysis.walk import drawing

    def refuse(cell):
        raise drawing.CannotDraw("vanilla: too large to be drawn")

    monkeypatch.setattr(drawing, "draw", refuse)
    found, moments, batch = vanilla
    text = page(found, moments, View(0, 2), batch, Asked([]))
    assert "There is no diagram of this cell: vanilla: too large to be drawn" in text
    assert "<details open>" in text


def test_a_page_of_many_units_and_steps_is_at_most_a_megabyte():
    found = trained("task.lag=45", "hidden_size=48", "training.budget=1")
    moments, batch = moments_of(found)
    assert len(page(found, moments, View(0, 2), batch, Asked([])).encode()) < 1_000_000
