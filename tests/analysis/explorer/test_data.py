from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.explorer.data import CURVE_POINTS, MEASURES, STATUSES, content, curves_of, measures_of
from analysis.explorer.explorer import SCRIPTS, SOURCES, html, write_explorer
from analysis.figures.look import MARKERS, look
from analysis.tables.trial_commands import trial_commands
from runs.record.rows import COLUMNS
from tests.analysis.explorer.made import command_of, demo, held, odd, runnable
from tests.analysis.synthetic import TASKS, TWENTY, as_study, by_hand, study
from variants import Cell
from variants.catalogue import entries

LARGEST = 1_500_000  # bytes of a page with 5,400 trials


def nothing(trials):
    """No command for any trial."""
    return ["" for _ in trials]


@pytest.fixture(scope="module")
def small():
    return demo()


@pytest.fixture(scope="module")
def values(small):
    return content(small, nothing)


def test_the_page_holds_the_numbers_of_the_table(small, values):
    assert [m["name"] for m in values["measures"]] == [m.name for m in measures_of(small)]
    for measure in values["measures"]:
        shown = np.array([np.nan if x is None else x for x in values["trials"][measure["name"]]], dtype=float)
        np.testing.assert_allclose(shown, small.table[measure["name"]].astype(float), rtol=6e-6)


@pytest.mark.parametrize("axis", ["task", "variant", "status"])
def test_the_page_holds_the_names_of_the_table(small, values, axis):
    things = values["statuses" if axis == "status" else f"{axis}s"]
    assert [things[k]["name"] for k in values["trials"][axis]] == small.table[axis].tolist()


def test_every_measure_is_a_column_of_every_table_and_is_explained():
    assert {m.name for m in MEASURES} <= {column.name for column in COLUMNS}
    assert [m.name for m in MEASURES if not m.meaning.endswith(".")] == []


def test_every_status_of_the_table_is_explained():
    said = next(column.meaning for column in COLUMNS if column.name == "status")
    assert set(re.findall(r"\w+", said)) - {"or"} == set(STATUSES)


@pytest.mark.parametrize(
    ("losses", "words"),
    [((0.1,), "not solved"), ((np.nan,), "trained"), ((0.1, np.nan), "not solved or trained")],
)
def test_a_trial_that_used_its_budget_is_told_as_in_report_and_console(losses, words):
    rows = [{"status": "finished", "task": f"t{k}", "solved_loss": loss} for k, loss in enumerate(losses)]
    page = content(by_hand(*rows), nothing)
    (shown,) = [status for status in page["statuses"] if status["name"] == "finished"]
    assert shown["words"] == words
    assert [task["finished"] for task in page["tasks"]] == words.split(" or ")


def test_losses_are_in_the_unit_of_their_task():
    loss, scale = 0.5, 1.4427
    page = content(by_hand({"test_loss": loss, "validation_loss": loss, "unit_scale": scale, "floor": 2.0}), nothing)
    assert page["trials"]["test_loss"] == page["trials"]["validation_loss"] == [0.72135]
    assert page["tasks"][0]["floor"] == pytest.approx(2.0 * scale)
    assert page["curves"]["losses"][0] == pytest.approx(scale * study(points=1)[0][0]["curve_losses"][0], rel=5e-4)


def test_a_short_curve_is_held_whole_and_to_half_a_thousandth(small, values):
    curves, start = values["curves"], 0
    for row, grid in enumerate(curves["grid"]):
        steps = curves["grids"][grid]
        assert steps == small.table["curve_steps"][row].tolist()
        own = curves["losses"][start : start + len(steps)]
        start += len(steps)
        known = np.array([np.nan if x is None else x for x in own], dtype=float)
        np.testing.assert_allclose(known, small.table["curve_losses"][row], rtol=5e-4)
    assert start == len(curves["losses"])


def test_a_long_curve_keeps_its_first_and_last_point():
    steps = list(range(0, 1000, 7))
    long = by_hand({"curve_steps": steps, "curve_losses": [1.0 + s for s in steps], "train_losses": [1.0] * len(steps)})
    curves = curves_of(long.table)
    assert len(curves["grids"][0]) == CURVE_POINTS == len(curves["losses"])
    assert (curves["grids"][0][0], curves["grids"][0][-1]) == (steps[0], steps[-1])
    assert curves["losses"] == [1 + s for s in curves["grids"][0]]


def test_commands_are_those_of_the_trials_of_every_variant():
    every = runnable([name for name in entries() if name in Cell.registry])
    shared = content(every, trial_commands)["commands"]
    page = [" ".join(shared["words"][k] for k in numbers) for numbers in shared["commands"]]
    assert page == [command_of(every, row) for row in range(len(every.table))]
    assert all(text.startswith("python -m runs variant=") for text in page)


def test_a_known_part_of_a_command_is_that_of_this_trial():
    commands = trial_commands([])
    assert commands == []
    every = runnable(["vanilla", "gru"])
    page = {row: command_of(every, row) for row in range(len(every.table))}
    assert ["variant=gru" in page[row] for row in page] == (every.table["variant"] == "gru").tolist()
    assert len(set(page.values())) == len(page)


def test_names_cannot_break_the_page():
    text = html({**content(odd(), nothing), "name": "</title><script>1</script>"})
    assert "<b>x" not in text
    assert "<script>1" not in text
    assert held(text)["variants"][1]["name"] == "</script><b>x & y</b>"
    assert text.count("</script>") == 2


def test_every_script_is_in_the_page_and_none_can_end_it():
    assert sorted(SCRIPTS) == sorted(path.stem for path in SOURCES.glob("*.js"))
    assert [path.name for path in SOURCES.glob("*.js") if "</script" in path.read_text()] == []


def test_every_marker_of_a_variant_has_a_drawing():
    script = (SOURCES / "marks.js").read_text()
    assert [m for m in MARKERS if m != "o" and f'"{m}"' not in script and f" {m}:" not in script] == []


def test_a_variant_looks_as_in_the_figures(values):
    for variant in values["variants"]:
        assert (variant["colour"], variant["marker"]) == look(variant["name"])[:2]


def test_5400_trials_fit(tmp_path):
    few, rng = as_study(*study(TWENTY, tuple(TASKS)[:6], points=3)), np.random.default_rng(0)
    table = pd.concat([few.every] * 15, ignore_index=True)
    curves = [np.exp(row) for row in rng.normal(size=(len(table), CURVE_POINTS))]  # digits that hardly compress
    steps = [np.arange(0, 50 * CURVE_POINTS, 50)] * len(table)
    noise = {m.name: table[m.name] * np.exp(rng.normal(size=len(table))) for m in measures_of(few)}
    ids = [rng.bytes(8).hex() for _ in curves]
    point = np.arange(len(table)) // len(few.every)
    large = replace(few, every=table.assign(curve_losses=curves, curve_steps=steps, trial_id=ids, point=point, **noise))
    path = write_explorer(
        large, tmp_path / "a" / "explorer.html", lambda trials: [f"python -m runs seed={i}" for i in ids]
    )
    assert len(large.table) == 5400
    assert path.stat().st_size <= LARGEST


def test_the_same_study_gives_the_same_bytes(small, values):
    assert html(values) == html(content(small, nothing))
