"""Bounds of networks with latent variables in tables, sentences and figures."""

import json

import numpy as np
import pandas as pd
import pytest

from analysis.figures import bounds as figure
from analysis.figures import samples
from analysis.report.bound_sentences import bound_sentences
from analysis.tables import diagnosis
from analysis.tables.bounds import COLUMNS, bounds
from runs.trial.diagnosis_file import Diagnosis, write_diagnosis
from tests.analysis.synthetic import by_hand

UNIT = {"unit": "nats per step", "unit_scale": 1.0, "floor": 5.5, "solved_loss": 0.8}


def row(variant, loss, kl=None, used=0, **more):
    """A trial; kl: of its latent variables, None where there are none."""
    metrics = {"loss": loss}
    if kl is not None:
        metrics |= {"negative_elbo": loss + 0.25, "kl": kl, "largest_kl": kl / 2}
        metrics |= {"used_dimensions": used, "latent_dimensions": 8}
    return {
        "variant": variant,
        "test_loss": loss,
        "validation_loss": loss,
        "test_metrics": json.dumps(metrics),
        **UNIT,
        **more,
    }


@pytest.fixture(scope="module")
def study():
    return by_hand(
        row("gru", 5.5, parameters=900),
        row("gru_storn", 1.5, 1.25, 3, parameters=1000),
        row("gru_storn", 2.5, 0.004, 0, parameters=2000),
        row("gru_vrnn", 4.5, 0.004, 0, parameters=3000),
    )


def test_a_row_is_the_best_decile_and_the_share_that_collapsed_is_of_all_trials(study):
    table = bounds(study).set_index("variant")
    storn = table.loc["gru_storn"].to_dict()
    assert {name: storn[name] for name in ("trials", "bound", "negative_elbo", "kl", "largest_kl", "parameters")} == {
        "trials": 1,
        "bound": 1.5,
        "negative_elbo": 1.75,
        "kl": 1.25,
        "largest_kl": 0.625,
        "parameters": 1000,
    }
    assert (storn["used_dimensions"], storn["latent_dimensions"], storn["collapsed"]) == (3, 8, 0.5)
    assert table.loc["gru_vrnn", "collapsed"] == 1
    assert table.loc["gru", "bound"] == 5.5
    assert np.isnan(table.loc["gru", ["kl", "collapsed"]].astype(float)).all()


def test_studies_without_latent_variables_have_no_bounds():
    table = bounds(by_hand(row("gru", 5.5)))
    assert table.empty
    assert list(table) == COLUMNS
    assert bound_sentences(by_hand(row("gru", 5.5)), None) == []


def test_a_collapse_is_named_with_its_dimensions(study):
    (text,) = bound_sentences(study, bounds(study))
    assert "the lowest bound of a best decile is 1.50 nats per step (gru_storn; -ELBO 1.75 nats per step" in text
    assert "the lowest loss without latent variables 5.50 nats per step (gru)" in text
    assert "The posterior of gru_storn has collapsed onto the prior in 50% of its trials" in text
    assert (
        "The posterior of gru_vrnn has collapsed onto the prior in 100% of its trials; its best decile uses 0 of 8"
        in text
    )
    assert "KL of 0.00050 nats per step per dimension" in text


def test_a_study_in_which_nothing_collapsed_says_so():
    whole = by_hand(row("gru_storn", 1.5, 1.25, 3))
    (text,) = bound_sentences(whole, bounds(whole))
    assert text.endswith("No posterior has collapsed: every trial uses its latent variables.")


def test_the_figure_marks_a_collapse_by_a_cross_and_draws_a_line_to_the_elbo(study):
    drawn = figure.FIGURE.drawn(study, bounds(study))
    (axes,) = drawn.figure.axes
    markers = {float(line.get_xdata()[0]): line.get_marker() for line in axes.lines if line.get_marker() in ("o", "x")}
    assert markers == {900.0: "o", 1000.0: "o", 3000.0: "x"}
    lines = {
        float(x[0]): y
        for line in axes.lines
        if len(set(x := list(line.get_xdata()))) == 1
        for y in [list(line.get_ydata())]
        if len(y) == 2
    }
    assert lines[1000.0] == [1.5, 1.75]


@pytest.fixture
def invented(study, tmp_path):
    """Two made-up sequences of three steps of two bits, as `runs.inside` keeps them."""
    own = study.table[study.table["variant"] == "gru_storn"].iloc[0]
    about = {"task": "adding", "variant": "gru_storn", "trial_id": own["trial_id"], "hidden_size": 7}
    about |= {"status": "finished", "test_loss": 1.5, "reproduced": True, "functions": {}, "layers": 1, "lag": 4}
    data = np.arange(12).reshape(2, 3, 2) % 2
    arrays = {"data": data.astype(float), "invented": 1.0 - data, "kl_by_dimension": np.array([0.5, 0.001, 0.02])}
    (tmp_path / "adding").mkdir()
    write_diagnosis(tmp_path / "adding" / "gru_storn.npz", Diagnosis(about, arrays))
    return diagnosis.read(tmp_path)


def test_what_a_network_invents_is_read_and_has_no_gradients(invented):
    table = invented["invented"]
    assert [len(invented[name]) for name in ("gradients", "sequences", "attention")] == [0, 0, 0]
    assert len(table) == 12
    first = table[(table["kind"] == "invented") & (table["sequence"] == 1) & (table["step"] == 2)].iloc[0]
    assert first["values"].tolist() == [1.0, 0.0]


def test_samples_stand_beside_data_with_the_number_of_used_dimensions(study, invented):
    numbers = samples.numbers(study, invented["invented"])
    assert list(numbers.rows["adding"]) == ["data", "gru_storn"]
    assert numbers.used["adding", "gru_storn"] == (2, 3)
    drawn = samples.draw(numbers)
    pictures = [axes.images[0].get_array().tolist() for axes in drawn.axes]
    assert pictures[0] == [[0, 1], [0, 1], [0, 1]]
    assert pictures[2] == [[1, 0], [1, 0], [1, 0]]
    assert "2 of 3 latent dimensions used" in " ".join(text.get_text() for text in drawn.texts).replace("\n", " ")
    assert isinstance(numbers.data, pd.DataFrame)
    assert numbers.data["bits"].iloc[0] == "01"
