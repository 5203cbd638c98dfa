from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from analysis.__main__ import main
from analysis.figures.gallery import FIGURES
from analysis.load import tidy, write_archive
from analysis.report.report import _notices, _sessions, render
from analysis.run import Options, analyse
from analysis.tables.summary import cells

from .synthetic import staged, study


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """Folder of a study that was analysed from its archive, with failed trials and a pair without any."""
    results = tmp_path_factory.mktemp("results")
    rows, design = study(
        ("vanilla", "gru"), ("adding", "copying"), points=8, failed=0.1, missing=(("gru", "copying"),), name="demo"
    )
    write_archive(tidy(rows), design, results / "elsewhere")
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
        for suffix in ("svg", "pdf", "png", "csv"):
            assert (analysed[0] / "figures" / f"{spec.name}.{suffix}").stat().st_size > 0
    assert html.count("data:image/") == len(shown)


def of_sessions(commits):
    """What a reader is told of a table whose trials ran in turn in sessions of these commits."""
    rows, design = study(("vanilla", "gru"), ("adding",), points=4, name="demo")
    for k, row in enumerate(rows):
        row["session"] = k % len(commits)
    return _sessions(tidy(rows), {**design, "sessions": [{"commit": commit} for commit in commits]})


def test_the_reader_is_told_that_trials_ran_under_different_code():
    (notice,) = of_sessions(["abc", "def", "abc", "abc"])
    assert "2 trials in session 1 (commit abc -> def)." in notice


def test_sessions_of_the_same_code_need_no_words():
    assert of_sessions(["abc", "abc"]) == []


def test_report_says_how_to_make_the_figures_of_trained_cells(analysed, html):
    assert f"They need <code>python -m runs.inside study=demo results={analysed[0].parent}</code>" in html


def test_a_notice_says_which_trials_ran_eagerly_and_why():
    rows, design = study(("vanilla", "gru"), ("adding",), points=3)
    for row in rows:
        if row["variant"] == "gru" and row["point"] < 2:
            row |= {"engine": "eager", "why_eager": "step calls lgamma"}
    table = tidy(rows)
    notices = _notices(table, design, cells(table, design), len(table))
    assert [n for n in notices if "eager" in n] == [
        "The eager engine ran 2 trials of gru, several times as slowly as the fused one would: step calls lgamma."
    ]


def test_report_is_well_formed(html):
    void = {"meta", "link", "img", "br"}

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
            assert re.search(
                rf'<td class="text" data-value="{task}">{task}</td><td class="text" data-value="{variant}">', html
            )


def test_report_says_how_to_run_stages_that_were_not(html):
    for stage in ("confirm", "horizon"):
        assert f"Not run yet: <code>python -m runs.sweep study=demo stage={stage}</code>" in html


def test_report_shows_the_stages_from_the_archive_alone(tmp_path):
    rows, design = staged(*study(("vanilla", "gru"), ("adding", "copying"), points=12, name="demo"))
    write_archive(tidy(rows), design, tmp_path / "elsewhere")
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


def test_names_are_escaped(tmp_path):
    rows, design = study(("vanilla", "<b>x</b>"), points=2)
    assert "<b>x</b>" not in render(tidy(rows), design, [], tmp_path / "report.html").read_text()


def test_report_of_a_search_says_that_it_compares_nothing(tmp_path):
    rows, design = study(("vanilla", "gru"), points=2)
    html = render(tidy(rows), {**design, "sampler": "tpe"}, [], tmp_path / "report.html").read_text()
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
