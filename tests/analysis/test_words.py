"""How numbers are written where their form changes, and names in words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from analysis import words
from tasks import Task
from variants.catalogue import entries as variant_names

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize(
    ("p", "text"), [(0.00099, "<.001"), (0.001, ".001"), (0.0342, ".034"), (0.9994, ".999"), (0.9996, "1")]
)
def test_a_p_value_has_three_digits_from_a_thousandth_on(p, text):
    assert words.p_value(p) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(99.4, "99"), (100, "100"), (456.7, "457"), (-456.7, "-457"), (1234.5, "1,234"), (0.01234, "0.012")],
)
def test_a_number_has_two_digits_and_is_whole_from_100_on(value, text):
    assert words.two_digits(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.004, "%", "0"),
        (-0.004, "%", "0"),
        (-0.005001, "%", "−1"),
        (0.004, "", "0.00"),
        (0.0, "nats", "0"),
        (8.84e-5, "nats", "+8.8·10⁻⁵"),
        (-1.2e-12, "nats", "−1.2·10⁻¹²"),
        (1.04e-4, "nats", "+0.00010"),
    ],
)
def test_a_difference_of_nothing_has_no_sign_and_a_small_one_a_power_of_ten(value, unit, text):
    assert words.signed(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"), [(999, "999"), (1000, "1.0k"), (9940, "9.9k"), (9960, "10k"), (999_000, "999k"), (1e6, "1.0M")]
)
def test_a_count_has_at_most_four_characters(value, text):
    assert words.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(9999, "9999"), (1e4, "10k"), (2e6, "2M"), (1e-4, "0.0001"), (9e-5, "9·$10^{-5}$"), (0.5, "0.5")],
)
def test_a_tick_is_plain_between_a_ten_thousandth_and_ten_thousand(value, text):
    assert words.tick(value) == text


# Names in words
# ----------------------------------------------------------------------------------------------------------------------


def presets(folder):
    """The presets of a folder of `conf/`, each as plain values."""
    return [yaml.safe_load(path.read_text()) or {} for path in sorted((CONF / folder).glob("*.yaml"))]


def hyperparameters():
    """Every hyperparameter that a preset searches."""
    return {name for folder in ("space", "study") for preset in presets(folder) for name in preset.get("space") or {}}


def labels():
    """Every label that a registry or a preset gives to a variant or a task."""
    found = {*variant_names(), *Task.registry}
    found |= {path.stem for folder in ("variant", "task") for path in (CONF / folder).glob("*.yaml")}
    for preset in presets("study"):
        found |= {*(preset.get("tasks") or {})}
        for variant in preset.get("variants") or []:
            found |= {*variant} if isinstance(variant, dict) else {variant}
    return found


@pytest.mark.parametrize("label", sorted(labels()))
def test_every_variant_and_task_has_a_name_in_words_that_is_not_its_code_name(label):
    assert words.spoken(label) not in (label, label.replace("_", " "))
    assert "_" not in words.spoken(label)


def test_every_hyperparameter_has_a_name_in_words():
    assert sorted(hyperparameters() - words.NAMES.keys()) == []


def test_two_variants_of_the_registry_have_different_names_in_words_and_so_have_two_tasks():
    for labels in (variant_names(), Task.registry):
        assert len({words.spoken(label) for label in labels}) == len(list(labels))


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("adding_30", "adding two numbers, lag 30"),
        ("adding_1997_100", "adding two numbers, as in 1997, lag 100"),
        ("gru_same_width", "GRU, same width"),
        ("my_own_cell", "my own cell"),
        ("MinimalGated", "MinimalGated"),
        ("my_cell_2", "my cell 2"),
    ],
)
def test_labels_of_series_of_a_second_width_and_of_own_classes_are_spoken(label, text):
    assert words.spoken(label) == text
