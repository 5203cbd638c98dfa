"""All figures: their files, how they are cut into pages, and that hard studies are drawn."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

import analysis.figures
from analysis.figures import look
from analysis.figures.entry import ANSWER, EVIDENCE, MORE, Entry
from analysis.figures.gallery import FIGURES, absent, draw_all, on_request, parts
from analysis.study import Study
from analysis.tables.bounds import bounds
from analysis.tables.comparisons import comparisons
from analysis.tables.effects import effects
from analysis.tables.gaps import gaps
from analysis.tables.lags import half_lags, lags
from analysis.tables.stages import stage_tables
from analysis.tables.two_studies import changes
from tests.analysis import factored
from tests.analysis.figures.readable import faults
from tests.analysis.figures.test_networks import diagnosed
from tests.analysis.lagged import lagged
from tests.analysis.real import chorale_study
from tests.analysis.synthetic import TWENTY, as_study, by_hand, explained, staged, study

FEW = {"swaps": 19}
# what the small print of a figure has in place of the number of trials that diverged
INSTEAD = {
    "solve_rate_by_lag": "trials each",
    "half_lags": " points",
    "over_fitting": "gap at best",
    "beside": " points",
    "gradients": "test loss",
    "activations": " units",
    "attention_maps": " units",
    "samples": "latent dimensions",
    "bounds": "parameters",
    "effect_matrix": "input gate",
    "effect_matrix_tuned": "input gate",
    "half_normal": "standard errors",
}
SHARED = {"gallery", "entry", "choice", "pieces", "curves", "look", "importance", "diagnosis", "small_multiples"}
FILES = sorted(
    path.stem for path in Path(analysis.figures.__file__).parent.glob("[a-z]*.py") if path.stem not in SHARED
)
MANY = "twenty variants"
HARD = {
    "missing pair, failed and diverged trials, an unknown variant": {
        "variants": ("vanilla", "gru", "my_own_cell"),
        "tasks": ("adding", "temporal_order_3"),
        "points": 12,
        "failed": 0.3,
        "missing": (("gru", "adding"),),
    },
    MANY: {"variants": TWENTY, "points": 6, "failed": 0.05},
}


# drawn as learning curves are
SAME_CURVES = ("expected_best_trials", "solve_curves", "performance_profiles")
SAME_CURVES += ("confirmed_profiles",)
FAST = ("forest", "heat_map", "learning_curves")  # of twenty variants; the others take a second each
CASES = [
    pytest.param(entry, case, marks=[pytest.mark.slow] * (case == MANY and entry.name not in FAST))
    for entry in FIGURES
    for case in HARD
    if case != MANY or entry.name not in SAME_CURVES
]


@cache
def hard(case: str) -> tuple[Study, dict[str, pd.DataFrame]]:
    """A hard study with every table that a figure needs."""
    rows, design = study(**HARD[case])
    whole = as_study(*staged(rows, design, block_size=3))
    tables = {"comparisons": comparisons(whole, **FEW), **explained(whole.table, design), **stage_tables(whole)}
    several = lagged(dict.fromkeys(HARD[case]["variants"], (5, 3, 0)), points=6)
    tables |= {"lags": lags(several), "half_lags": half_lags(several, resamples=20)}
    tables |= {"beside": changes(whole, as_study(rows, design), **FEW), "profiles": tables["replicates"]}
    tables["gaps"] = gaps(as_study([{**row, "epochs": row["steps"] / 10} for row in rows], design))
    parted = factored.study({"input_gate": 1.0}, tasks=HARD[case].get("tasks", ("adding",)))
    tables["effects"] = effects(parted, flips=19, resamples=9)
    tables["bounds"] = bounds(as_study([{**row, "test_metrics": latent_metrics(row)} for row in rows], design))
    with TemporaryDirectory() as folder:
        return whole, tables | diagnosed(Path(folder), whole) | {"invented": invented(whole)}


def latent_metrics(row):
    """Test metrics of a trial as if its network had latent variables; of one variant as if it had collapsed."""
    loss, used = row["test_loss"], 0 if row["variant"] == "gru" else 3
    if loss is None or row["status"] == "failed":
        return "{}"
    metrics = {"loss": loss, "negative_elbo": 1.1 * loss, "kl": 0.1 * used * loss, "largest_kl": 0.05 * used * loss}
    return json.dumps({**metrics, "used_dimensions": used, "latent_dimensions": 8})


def invented(whole):
    """What a network of each pair with trials invents, three sequences of four steps of five bits."""
    facts = {"hidden_size": 7, "status": "finished", "test_loss": 1.5, "reproduced": True}
    facts |= {"kl_by_dimension": np.array([0.5, 0.001])}
    pairs = whole.table.drop_duplicates(["task", "variant"])[["task", "variant", "trial_id"]].to_dict("records")
    places = list(product(("data", "invented"), range(3), range(4)))
    bits = {place: np.random.default_rng(k).integers(0, 2, 5).astype(float) for k, place in enumerate(places)}
    heads = ("kind", "sequence", "step")
    return pd.DataFrame(
        [
            {**pair, **dict(zip(heads, place, strict=True)), "values": bits[place], **facts}
            for pair in pairs
            for place in places
        ]
    )


def texts(figure):
    return " ".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize(("entry", "case"), CASES, ids=[f"{case.values[0].name}-{case.values[1]}" for case in CASES])
def test_figure_of_a_hard_study_can_be_read_fits_a_page_and_says_what_became_of_the_trials(entry, case):
    whole, tables = hard(case)
    _, part, needed = next(parts(entry, whole, tables))
    figure, data = entry.drawn(part, *needed)
    assert faults(figure) == []
    width, height = figure.get_size_inches()
    assert (width <= 7.3, height <= 12.0) == (True, True), f"{width} x {height} inches"
    assert len(data)
    assert INSTEAD.get(entry.name, "diverged") in texts(figure)


NARROW = [entry for entry in FIGURES if entry.part != MORE or entry.part_of_losses]


@pytest.mark.parametrize("entry", NARROW, ids=lambda entry: entry.name)
def test_figure_for_a_telephone_can_be_read_and_is_narrow(entry):
    whole, tables = hard(next(iter(HARD)))
    _, part, needed = next(parts(entry, whole, tables))
    with look.drawing_for(look.NARROW):
        figure, _ = entry.drawn(part, *needed)
        assert faults(figure) == []
    assert figure.get_size_inches()[0] <= 3.5


def test_the_answer_is_one_figure_and_the_evidence_are_few():
    by_part = {part: [entry.name for entry in FIGURES if entry.part == part] for part in (ANSWER, EVIDENCE, MORE)}
    assert by_part[ANSWER] == ["effect_matrix", "heat_map"]
    assert by_part[EVIDENCE] == ["half_normal", "forest", "solve_rate_by_lag", "half_lags", "solve_curves"]


def test_boxes_and_learning_curves_are_evidence_where_no_task_can_be_solved():
    losses = chorale_study(("greff_v",), points=2)
    moved = [entry.name for entry in FIGURES if entry.of(losses).part != entry.of(by_hand({})).part]
    assert moved == ["boxes", "learning_curves"]


@pytest.mark.parametrize("entry", FIGURES, ids=lambda entry: entry.name)
def test_figure_of_nothing_says_so(entry):
    failed = by_hand({"status": "failed"})
    columns = ["task", "variant", "primary", "what", "term", "order", "hyperparameter", "response", "value", "top"]
    columns += [
        "series",
        "half_lag",
        "phase",
        "lag",
        "relevant",
        "hidden_size",
        "trial_id",
        "status",
        "test_loss",
        "reproduced",
        *("endpoint", "question", "kind", "effect", "difference", "low", "high", "error", "unit"),
    ]
    nothing = pd.DataFrame(columns=[*columns, "u_first", "search_score", "fresh_score", "score", "stage"]).astype(
        {"primary": bool, "top": bool}
    )
    tables = {name: failed.table.iloc[:0] if name in TRIALS else nothing for name in entry.needs}
    figure, _ = entry.drawn(failed, *tables.values())
    assert texts(figure).strip()


TRIALS = ("horizon_trials", "replicates", "repeats", "profiles")


@pytest.mark.parametrize("name", FILES)
def test_a_figure_is_a_file_with_numbers_drawing_title_and_caption(name):
    module = importlib.import_module(f"analysis.figures.{name}")
    assert isinstance(module.FIGURE, Entry)
    assert module.FIGURE in FIGURES, f"{name} is not listed in gallery.FIGURES"
    assert (module.FIGURE.title, module.FIGURE.caption) == (module.TITLE, module.CAPTION)
    assert (module.FIGURE.numbers, module.FIGURE.draw) == (module.numbers, module.draw)


def test_names_and_titles_of_figures_are_unique():
    assert len({entry.name for entry in FIGURES}) == len({entry.title for entry in FIGURES}) == len(FIGURES)


def entry_of(rows, most):
    return Entry("made_up", "", "", lambda study: study, lambda numbers: numbers, ("table",), rows, most)


def test_a_figure_that_is_too_tall_is_cut_by_task_with_its_tables():
    whole = by_hand({}, {"task": "copying"}, {"variant": "gru"})
    tables = {"table": pd.DataFrame({"task": ["copying", "adding"], "number": [1, 2]})}
    height = lambda variants, tasks: variants * tasks  # noqa: E731
    together = list(parts(entry_of(height, 4), whole, tables))
    assert [(task, part.tasks) for task, part, _ in together] == [("", ["adding", "copying"])]
    apart = list(parts(entry_of(height, 3), whole, tables))
    assert [(task, part.tasks, needed[0]["number"].tolist()) for task, part, needed in apart] == [
        ("adding", ["adding"], [2]),
        ("copying", ["copying"], [1]),
    ]


def test_a_task_without_trials_has_no_page():
    whole = by_hand({}, tasks=["adding", "copying"])
    tables = {"table": pd.DataFrame({"task": ["adding"]})}
    assert [task for task, *_ in parts(entry_of(lambda variants, tasks: 99, 1), whole, tables)] == ["adding"]


@pytest.mark.parametrize("formats", [(), ("svg",), ("svg", "png", "pdf")])
def test_figures_are_saved_in_the_formats_and_left_out_without_their_tables(tmp_path, monkeypatch, formats):
    kept = [entry for entry in FIGURES if entry.name in ("heat_map", "forest")]
    monkeypatch.setattr("analysis.figures.gallery.FIGURES", kept)
    (tmp_path / "heat_map.pdf").write_text("of an earlier analysis")
    (shown,) = draw_all(by_hand({}), {}, tmp_path, formats=formats)
    assert (shown.name, shown.task) == ("heat_map", "")
    assert {path.name for path in tmp_path.iterdir()} == {
        f"heat_map.{suffix}" for suffix in (*(formats or ("svg", "png")), "csv", "narrow.svg")
    }
    assert shown.narrow == tmp_path / "heat_map.narrow.svg"
    assert pd.read_csv(shown.file("csv"))["trials"].tolist() == [1]


def test_a_figure_of_the_folded_rest_is_saved_as_svg_only(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.figures.gallery.FIGURES", [entry for entry in FIGURES if entry.name == "boxes"])
    (shown,) = draw_all(by_hand({}), {}, tmp_path)
    assert [path.suffix for path in shown.files] == [".svg", ".csv"]
    assert (shown.png, shown.narrow) == (None, None)


def test_a_figure_drawn_task_by_task_has_no_narrow_version(tmp_path, monkeypatch):
    kept = replace(next(entry for entry in FIGURES if entry.name == "solve_curves"), most=1)
    monkeypatch.setattr("analysis.figures.gallery.FIGURES", [kept])
    (tmp_path / "solve_curves_adding.narrow.svg").write_text("of an earlier analysis")
    assert [shown.narrow for shown in draw_all(by_hand({}, {"task": "copying"}), {}, tmp_path)] == [None, None]
    assert not list(tmp_path.glob("*.narrow.svg"))


def test_a_large_study_gets_the_folded_figures_of_each_task_on_request_only(tmp_path, monkeypatch):
    kept = [replace(entry, most=1) for entry in FIGURES if entry.name in ("boxes", "solve_curves")]
    monkeypatch.setattr("analysis.figures.gallery.FIGURES", kept)
    study = by_hand({}, {"task": "copying"})
    assert on_request(study, {}) == []
    monkeypatch.setattr("analysis.figures.gallery.LARGE", 1)
    assert [entry.name for entry in on_request(study, {})] == ["boxes"]
    assert [entry.name for entry in on_request(study.of_task("adding"), {})] == []
    draw_all(study, {}, tmp_path)
    assert (tmp_path / "boxes_copying.svg").is_file()
    draw_all(study, {}, tmp_path, every=False)
    assert {path.name for path in tmp_path.glob("*.svg")} == {"solve_curves_adding.svg", "solve_curves_copying.svg"}
    assert not list(tmp_path.glob("boxes*"))


def test_the_command_that_makes_what_is_not_drawn_is_named():
    titles = ["How far back the gradient reaches", "Gates and states over one sequence"]
    nothing = pd.DataFrame()
    assert absent(by_hand({}), {}) == {"python -m runs.inside study=synthetic": titles}
    assert absent(by_hand({}), {"gradients": nothing, "sequences": nothing}) == {}


def test_the_command_for_what_is_left_out_names_the_folder_and_the_own_classes(monkeypatch):
    monkeypatch.setenv("LSTM_VARIANTS_CLASSES", "my_package.MyCell")
    wanted = "LSTM_VARIANTS_CLASSES=my_package.MyCell python -m runs.inside study=mine results=elsewhere"
    assert set(absent(by_hand({}, name="mine"), {}, "elsewhere")) == {wanted}
