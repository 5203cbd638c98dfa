from __future__ import annotations

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.figures.gallery import FIGURES
from analysis.report import tables
from analysis.report.notices import MOST_NAMED, notices, planned
from analysis.report.report import Report
from analysis.report.reproduction import knobs, settings, space
from analysis.run import Options, analyse
from analysis.statistics.endpoints import ENDPOINTS
from analysis.tables.two_studies import ADVANTAGE, CHANGE, TwoStudies
from analysis.words import spoken
from runs.record.archive import write_values
from runs.record.rows import tidy
from tests.analysis.synthetic import as_study, by_hand, staged, study


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """Folder of a study that was analysed from its archive, with failed trials and a pair without any."""
    results = tmp_path_factory.mktemp("results")
    rows, design = study(
        ("vanilla", "gru"), ("adding", "copying"), points=8, failed=0.1, missing=(("gru", "copying"),), name="demo"
    )
    write_values(tidy(rows), design, results / "elsewhere")
    files = analyse(Options(study="", results=results, archive=results / "elsewhere" / "trials.parquet"))
    return results / "demo", files, design


@pytest.fixture(scope="module")
def html(analysed):
    return (analysed[0] / "report.html").read_text()


def test_report_needs_no_network(html):
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", html)
    assert "@import" not in html
    assert "url(" not in html


def test_report_contains_every_figure(analysed, html):
    shown = [spec for spec in FIGURES if set(spec.needs) <= {"comparisons"}]  # eight points are too few for the rest
    for spec in shown:
        assert f'id="{spec.name}"' in html, f"{spec.name} is missing from the report"
        for suffix in ("svg", "csv"):
            assert (analysed[0] / "figures" / f"{spec.name}.{suffix}").stat().st_size > 0
    assert len(re.findall('<img [^>]*(?:src="data:image/|data-packed=")', html)) == len(shown)


def test_a_report_and_the_page_of_claims_state_one_rule(analysed, html):
    for text in (html, (analysed[0].parent / "claims.html").read_text()):
        assert "a single one counts only if its p-value times their number is at most .05 (Bonferroni)." in text
        assert "a fall with the lag by what is lost per doubling" in text


def of_sessions(*commits):
    """The notices of a study whose trials ran in turn in sessions of these commits."""
    trials = [{"session": k % len(commits)} for k in range(24)]
    found = notices(by_hand(*trials, points=24, sessions=[{"commit": commit} for commit in commits]))
    return [notice for notice in found if "session" in notice]


def test_the_reader_is_told_that_trials_ran_under_different_code():
    (notice,) = of_sessions("abc", "def", "abc", "abc")
    assert "may differ in the last bits or more: 6 trials in session 1 (commit abc -> def). The column" in notice


def test_of_many_sessions_three_are_named():
    (notice,) = of_sessions("a", "b", "c", "d", "e", "f")
    named = "4 trials in session 1 (commit a -> b); 4 trials in session 2 (commit a -> c); 4 trials in session 3"
    assert named in notice
    assert "; and 2 other sessions. The" in notice


def test_sessions_of_the_same_code_need_no_words():
    assert of_sessions("abc", "abc") == []


def test_a_complete_study_with_enough_trials_has_no_notice():
    assert notices(by_hand(*[{}] * 20, points=20)) == []


@pytest.mark.parametrize(
    ("trials", "design", "notice"),
    [
        (
            [{}] * 20,
            {"points": 21},
            "The study is not complete: 20 of 21 trials have been run. Missing: 1 of vanilla on adding.",
        ),
        (
            [{}] * 9,
            {"points": 9},
            "With at most 9 trials per variant and task nothing can be concluded from differences between variants.",
        ),
        (
            [*[{}] * 20, *[{"status": "failed", "error": f"Traceback\n{k % 5}"} for k in range(6)]],
            {"points": 26},
            "6 trials failed, that is, the program broke in them; they are left out of all statistics: 2 × 0; 1 × 1; "
            "1 × 2 and 2 other messages.",
        ),
        ([{}] * 20, {"points": 20, "tasks": ["adding", "copying"]}, "Without any trial: vanilla on copying."),
        (
            [{}] * 20,
            {"points": 20, "sampler": "tpe"},
            "This is a search: each variant got trials of its own or had some cut short. "
            "Nothing here compares variants.",
        ),
    ],
)
def test_a_notice_says_what_limits_the_conclusions(trials, design, notice):
    assert notice in notices(by_hand(*trials, **design))


def test_one_pair_with_enough_trials_is_enough_for_no_notice_on_their_number():
    study = by_hand(*[{}] * 20, *[{"variant": "gru"}] * 3, points=20)
    assert not any(notice.startswith("With at most") for notice in notices(study))


@pytest.mark.parametrize(("absent", "others"), [(MOST_NAMED["pairs"], ""), (MOST_NAMED["pairs"] + 1, " and others")])
def test_so_many_pairs_without_a_trial_are_named(absent, others):
    names = [f"task_{k}" for k in range(absent)]
    study = by_hand(*[{}] * 20, points=20, tasks=["adding", *names])
    named = ", ".join(f"vanilla on {name}" for name in names[: MOST_NAMED["pairs"]])
    assert f"Without any trial: {named}{others}." in notices(study)


def test_a_picture_is_as_wide_on_the_page_as_its_inches_say(analysed, html):
    widths = {float(width) for width in re.findall(r'<img[^>]*style="width:(\d+)px"', html)}
    assert widths
    assert min(widths) >= 3 * 110


def test_a_study_has_a_trial_for_each_point_variant_and_task():
    trials = {}, {"variant": "gru"}, {"task": "copying"}
    assert planned(by_hand(*trials, points=7)) == 2 * 2 * 7
    assert planned(by_hand(*trials, {"point": 4}, points=0)) == 2 * 2 * 5


def test_report_says_how_to_make_the_figures_of_trained_cells(analysed, html):
    assert f"They need <code>python -m runs.inside study=demo results={analysed[0].parent}</code>" in html


def test_a_notice_says_which_trials_ran_eagerly_and_why():
    eager = {"variant": "gru", "engine": "eager", "why_eager": "step calls lgamma"}
    found = notices(by_hand({}, eager, eager, {"variant": "gru"}))
    assert (
        "The eager engine ran 2 trials of gru, several times as slowly as a fused kernel would: step calls lgamma."
        in found
    )


def test_a_notice_says_which_updates_were_not_compiled_and_why():
    own = {"variant": "gru", "engine": "fused", "why_autograd": "adding has a loss of its own"}
    found = notices(by_hand({}, own, own, {"variant": "gru"}))
    assert (
        "The updates of 2 trials of gru on adding were computed by autograd, more slowly than in compiled code: adding "
        "has a loss of its own." in found
    )


# Tables
# ----------------------------------------------------------------------------------------------------------------------


def shown(table):
    """By heading of a table with one row, what is read."""
    ((cells),) = table.rows
    return {column.title: cell.shown for column, cell in zip(table.columns, cells, strict=True)}


def values(table):
    """By heading of a table with one row, what it is sorted by."""
    ((cells),) = table.rows
    return {column.title: cell.value for column, cell in zip(table.columns, cells, strict=True)}


def test_every_column_of_the_summary_is_written_in_its_format():
    loss = {"validation_loss": 0.1, "test_loss": 0.012345, "score": 0.98765, "parameters": 12345, "seconds": 3.14159}
    solved = {**loss, "status": "solved", "solved_step": 1234.0, "budget": 2000}
    table = tables.summary_table(by_hand(solved, {"status": "diverged", "validation_loss": 9.0}, {"status": "failed"}))
    assert shown(table) | {"seconds per trial": "", "expected best of 20": ""} == {
        "task": "adding two numbers",
        "variant": "LSTM",
        "N": "2",
        "solved": "1",
        "diverged": "1",
        "failed": "1",
        "solve rate, 95 % interval": "50 % (9–91)",
        "steps to solve": "1,617",
        "score, best decile": "0.988",
        "expected best of 20": "",
        "loss, best decile": "0.0123",
        "parameters, best decile": "12,345",
        "seconds per trial": "",
    }
    assert shown(table)["expected best of 20"] == "0.988"
    assert values(table)["steps to solve"] == (1234 + 2000) / 2
    assert [cell.text for cell in table.rows[0]] == [True, True, *[False] * 11]


def test_a_pair_without_trials_has_dashes_and_sorts_last():
    table = tables.summary_table(by_hand({"status": "failed"}))
    assert (shown(table)["solve rate, 95 % interval"], values(table)["solve rate, 95 % interval"]) == ("–", "")
    assert (shown(table)["score, best decile"], values(table)["score, best decile"]) == ("–", "")
    assert shown(table)["N"] == "0"


def test_rows_of_the_baseline_stand_out():
    table = tables.summary_table(by_hand({"variant": "gru"}, {}, baseline="vanilla"))
    assert [(row[1].shown, marked) for row, marked in zip(table.rows, table.marked, strict=True)] == [
        ("LSTM", True),
        ("GRU", False),
    ]


def test_settings_have_the_best_trial_with_ranges_and_the_scores_of_the_next_two():
    own = {"task": "adding", "variant": "gru", "hidden_size": 37, "parameters": 12345, "trials": 50}
    own |= {"solved_step": 1234.0, "learning_rate": 0.01234, "learning_rate_low": 0.0056, "learning_rate_high": 0.1}
    best = pd.DataFrame([{**own, "score": score} for score in (0.9, 0.8)])
    assert shown(tables.settings_table(by_hand({}), best)) == {
        "task": "adding two numbers",
        "variant": "GRU",
        "learning rate": "0.012 (0.0056–0.1)",
        "width": "37",
        "parameters": "12,345",
        "score": "0.900",
        "steps to solve": "1,234",
        "score of the second": "0.800",
        "score of the third": "–",
        "best of N": "50",
    }


def test_best_configurations_have_their_median_with_range_and_what_was_solved():
    row = {"task": "adding", "variant": "gru", "point": 3, "hidden_size": 37, "size": 32, "learning_rate": 0.012345}
    row |= {"search_score": 0.98765, "runs": 5, "solved": 4, "median": 0.9, "lowest": 0.5, "highest": 1.0}
    heads, rows = tables.best_table(pd.DataFrame([row]))
    assert dict(zip(heads, rows[0], strict=True)) == {
        "task": "adding two numbers",
        "variant": "GRU",
        "width": "37",
        "width of the baseline": "32",
        "learning rate": "0.0123",
        "score in the search": "0.988",
        "median score, fresh seeds (range)": "0.90 (0.50–1.00)",
        "solved": "4 of 5",
    }


def two_studies(**changes):
    row = {"task": "adding", "variant": "gru", "what": CHANGE, "endpoint": "solve_rate", "primary": True}
    row |= {"study": 0.5, "other": 0.75, "difference": -0.25, "low": -0.4, "high": -0.1, "p": 0.0123}
    row["unit"] = ENDPOINTS[changes.get("endpoint", "solve_rate")].unit
    row |= {
        "points": 50,
        "paired": True,
        "same_outcome": 30,
        "pairs": 40,
        "time": 1.5,
        "time_low": 1.25,
        "time_high": 2,
    }
    pairs = pd.DataFrame([row | changes, row | {"primary": False}])
    return tables.two_studies_table(TwoStudies("new", "old", "vanilla", pd.DataFrame(), pairs))


def test_two_studies_are_compared_in_the_unit_of_the_endpoint():
    assert shown(two_studies()) == {
        "task": "adding two numbers",
        "variant": "GRU",
        "what": "itself",
        "endpoint": "solve rate, %",
        "new": "50",
        "old": "75",
        "difference [95 %]": "−25 [−40, −10]",
        "p": ".012",
        "N": "50 paired",
        "same outcome": "75%",
        "time per step": "1.50 [1.25, 2.00]",
    }


def test_an_advantage_has_a_sign_and_studies_without_common_points_have_no_same_outcome():
    found = shown(two_studies(what=ADVANTAGE, endpoint="best_decile", study=0.1, other=-0.2, pairs=0, paired=False))
    assert (found["what"], found["new"], found["old"], found["N"]) == ("its advantage", "+0.10", "−0.20", "50 unpaired")
    assert (found["same outcome"], found["endpoint"]) == ("–", "score of the best decile")


# Reproduction
# ----------------------------------------------------------------------------------------------------------------------


def test_search_space_says_how_values_are_drawn():
    made = {"momentum": {"low": 0.01, "high": 1.0, "log": True, "complement": True}}
    made |= {"size": {"low": 8, "high": 128, "log": False, "integer": True}}
    assert space(by_hand({}, space=made)) == [
        {"name": "momentum", "low": "0.01", "high": "1", "scale": "log-uniform, drawn as 1 - momentum"},
        {"name": "size", "low": "8", "high": "128", "scale": "uniform, whole numbers"},
    ]


def test_settings_of_training_say_what_was_searched():
    rate = {"key": "training.learning_rate", "low": 1e-4, "high": 0.1, "log": True}
    training = {"optimiser": "adam", "learning_rate": 0.01, "clip": 1.0}
    initialisation = {"_target_": "x", "label": "glorot", "gain": 0.5}
    design = {"space": {"learning_rate": rate}, "training": training, "initialisation": initialisation, "seed": 3}
    rows = settings(by_hand({"engine": "eager"}, {"engine": "fused"}, {"engine": ""}, **design))
    assert rows[:6] == [
        ("engine that ran", "eager, fused"),
        ("match", "parameters"),
        ("sampler", "random"),
        ("seed", "3"),
        ("initialisation", "glorot"),
        ("initialisation.gain", "0.5"),
    ]
    written = dict(rows)
    assert (written["optimiser"], written["learning_rate"], written["clip"]) == ("adam", "searched", "1")
    assert (written["budget"], written["model.layers"]) == ("2000", "1"), "what was not set has its default"


def test_knobs_of_a_task_are_written_after_its_name():
    made = by_hand({}, tasks={"adding": {"_target_": "tasks.Adding", "lag": 50, "width": 0.5}})
    assert (knobs(made, "adding"), knobs(made, "adding", "lag")) == ("lag 50, width 0.5", "lag 50")
    assert knobs(by_hand({}), "adding") == ""


def test_report_is_well_formed(html):
    void = {"meta", "link", "img", "br", "source"}

    class Balance(HTMLParser):
        stack: list[str] = []

        def handle_starttag(self, tag, attrs):
            if tag not in void:
                self.stack.append(tag)

        def handle_endtag(self, tag):
            assert self.stack.pop() == tag

    parser = Balance()
    parser.feed(html)
    assert parser.stack == []


def test_report_says_how_to_reproduce_it(analysed, html):
    design = analysed[2]
    for text in (design["command"], design["commit"], "python -m analysis from=results/demo/trials.parquet", "2.13.0"):
        assert text in html


def test_report_names_failures_and_what_is_missing(html):
    assert re.search(r"\d+ trials? failed", html)
    assert "size must be even, got 7" in html
    assert "Without any trial: gru on copying" in html


def test_report_gives_counts_for_every_pair(html):
    for task in ("adding", "copying"):
        for variant in ("vanilla", "gru"):
            names = [rf'<td class="text" data-value="{spoken(label)}">' for label in (task, variant)]
            assert re.search(rf"{names[0]}{spoken(task)} <code>{task}</code></td>{names[1]}", html)


def test_report_says_how_to_run_stages_that_were_not(html):
    for stage in ("confirm", "horizon"):
        assert f"Not run yet: <code>python -m runs.sweep study=demo stage={stage}</code>" in html


def test_report_shows_the_stages_from_the_archive_alone(tmp_path):
    rows, design = staged(*study(("vanilla", "gru"), ("adding", "copying"), points=12, name="demo"))
    write_values(tidy(rows), design, tmp_path / "elsewhere")
    files = analyse(Options(study="", results=tmp_path, archive=tmp_path / "elsewhere" / "trials.parquet"))
    html = files[-1].read_text()
    for text in (
        'id="confirm"',
        'id="horizon"',
        'id="confirmation_scores"',
        'id="winners_curse"',
        'id="memory_horizon"',
        "Best configurations",
    ):
        assert text in html
    assert "Not run yet" not in html
    assert {"confirmed.csv", "best_configurations.csv", "horizons.csv", "confirmation.csv"} <= {
        path.name for path in files
    }
    assert "24 of 24 trials" not in html
    assert "48 of 48 trials" in html


def test_texts_of_an_archive_are_escaped(tmp_path):
    assert "<b>x</b>" not in Report(study=by_hand({}, commit="<b>x</b>")).html(tmp_path)


def test_report_of_a_search_says_that_it_compares_nothing(tmp_path):
    rows, design = study(("vanilla", "gru"), points=2)
    html = Report(study=as_study(rows, {**design, "sampler": "tpe"})).html(tmp_path)
    assert "This is a search" in html
    assert "Every variant met the same points" not in html


def test_every_artifact_exists_and_the_report_is_last(analysed):
    _, files, _ = analysed
    assert all(path.is_file() for path in files)
    assert files[-1].name == "report.html"
    assert {"trials.parquet", "trials.csv", "cells.csv", "comparisons.csv"} <= {path.name for path in files}


@pytest.mark.parametrize("arguments", [["stduy=quick"], ["study"], ["study=absent"], [], ["from=nowhere.parquet"]])
def test_mistakes_are_one_line_and_exit_code_2(arguments, tmp_path, capsys):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "journal.log").touch()
    assert main([f"results={tmp_path}", *arguments]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    if arguments in (["study=absent"], []):
        assert "there" in message
