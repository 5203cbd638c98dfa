"""The page of all studies in a results folder."""

from __future__ import annotations

import json

from analysis.report.index import write_index, write_summary
from analysis.report.report import Report
from tests.analysis.synthetic import by_hand


def study(results, name, **facts):
    folder = results / name
    folder.mkdir()
    (folder / "report.html").touch()
    usual = {
        "title": "Two cells",
        "found": "Equal.",
        "date": "2026-01-02",
        "variants": ["gru"],
        "tasks": [],
        "trials": 7,
    }
    write_summary(folder, usual | facts)


def test_a_study_has_its_words_and_links_the_latest_first(tmp_path):
    study(tmp_path, "older", date="2025-01-01")
    study(tmp_path, "newer", found="The GRU is better.", tasks=["delayed_recall"])
    (tmp_path / "newer" / "explorer.html").touch()
    html = write_index(tmp_path).read_text()
    assert html.index('href="newer/report.html"') < html.index('href="older/report.html"')
    for text in ("The GRU is better.", 'href="newer/explorer.html"', "recalling a cue", "GRU", "2025-01-01"):
        assert text in html
    assert 'href="older/explorer.html"' not in html


def test_a_study_that_was_not_analysed_has_the_command_that_does_it(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "journal.log").touch()
    html = write_index(tmp_path).read_text()
    assert f"python -m analysis study=mine results={tmp_path}" in html
    assert "mine/report.html" not in html


def test_a_summary_that_is_damaged_or_somebody_elses_breaks_nothing(tmp_path):
    study(tmp_path, "good", found="<script>alert(1)</script>")
    for name, text in {"cut": '{"title": "x', "list": "[1]", "kinds": json.dumps({"trials": "x", "tasks": 3})}.items():
        study(tmp_path, name)
        (tmp_path / name / "summary.json").write_text(text)
    html = write_index(tmp_path).read_text()
    assert "<script>alert" not in html
    assert all(f'href="{name}/report.html"' in html for name in ("good", "cut", "list", "kinds"))


def test_an_empty_folder_has_a_page_that_says_how_to_begin(tmp_path):
    assert "make quick" in write_index(tmp_path).read_text()


def test_a_report_says_what_the_index_shows():
    facts = Report(study=by_hand({}, {"variant": "gru"}, created="2026-03-04T05:06")).summary()
    assert (facts["title"], facts["date"], facts["trials"]) == (
        "Two recurrent cells on adding two numbers",
        "2026-03-04",
        2,
    )
