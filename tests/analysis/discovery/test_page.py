"""The page of a search and its command: sentences, verdict, bad input, and the page of all studies."""

import re
from dataclasses import replace

import pytest

from analysis.discovery.__main__ import main
from analysis.discovery.best import cards
from analysis.discovery.page import Picture, write_page
from analysis.discovery.said import following, headline, sentences
from analysis.discovery.search import Search
from analysis.discovery.verdict import verdict
from analysis.report.index import write_index
from analysis.study import Study
from runs.discovery.distance import distance
from runs.discovery.graph import Graph
from runs.discovery.table import write_candidates
from runs.discovery.verdict import confirmed, found_label, reached_in
from runs.record.rows import tidy


@pytest.fixture(scope="module")
def page(search, results, tmp_path_factory):
    """The text of a page, with its figures."""
    return write_page(search, None, results, tmp_path_factory.mktemp("page")).read_text()


@pytest.fixture
def plain(monkeypatch):
    """Leave out figures and drawings, which take seconds."""
    monkeypatch.setattr("analysis.discovery.page.picture", lambda *given: Picture("data:,", "data:,"))
    monkeypatch.setattr("analysis.discovery.best.draw", lambda cell: (_ for _ in ()).throw(ValueError("no time")))


def test_a_page_without_a_verdict_says_that_its_scores_are_those_of_a_search(search):
    assert any("All these are scores of a search" in sentence for sentence in sentences(search, None))


def test_a_page_without_a_verdict_names_the_command_of_the_verdict(search, results):
    assert following(search, None, results).startswith("python -m runs.discover name=made_up action=verdict")


def test_the_noise_of_the_gru_is_said(search):
    low, high = min(search.names), max(search.names)
    assert any(f"10 other names, reaches {low:.2f} to {high:.2f}" in sentence for sentence in sentences(search, None))


@pytest.mark.parametrize(("factor", "said"), [(0.5, "No cell stands out"), (2.0, "whether that is luck is not known")])
def test_the_headline_claims_no_more_than_the_search_can_say(search, factor, said):
    table = search.table.copy()
    values = [f"value_{task}" for task in search.plan.tasks]
    table.loc[table["arm"] == "mutation", values] *= factor
    assert said in headline(Search(search.plan, table), None)


def test_a_score_that_the_gru_reaches_under_another_name_does_not_stand_out(search):
    table = search.table.copy()
    table.loc[table["arm"] == "gru_names", "ratio"] = 3.0
    values = [f"value_{task}" for task in search.plan.tasks]
    table.loc[table["arm"] == "mutation", values] *= 2.0
    assert headline(Search(search.plan, table), None).startswith("No cell stands out from the GRU")


def test_an_unfinished_search_says_how_far_it_is(search):
    cut = Search(search.plan, search.table.head(80))
    assert f"80 of {search.plan.length} candidates were tried" in " ".join(sentences(cut, None))


def test_a_search_in_which_nothing_passed_has_a_page(plain, search, tmp_path):
    table = search.table[search.table["status"] != "scored"]
    text = write_page(Search(search.plan, table), None, tmp_path, tmp_path).read_text()
    assert "No cell has passed all gates" in text


# The verdict
# ---------------------------------------------------------------------------------------------------------------------


def test_the_verdict_has_the_confirmed_scores(search, judged, of_verdict):
    expected = confirmed(reached_in(search.plan, tidy(of_verdict[0]).to_dict("records")), "gru")
    assert {row.label: row.confirmed for row in judged.rows} == expected


def test_the_verdict_counts_what_is_better_and_worse(search, judged):
    found = {row.key: row for row in judged.found}
    better, worse = (found[each.key] for each in search.best[:2])
    assert (better.better > 0, better.worse) == (True, 0)
    assert (worse.worse > 0, worse.better) == (True, 0)


def test_the_optimism_is_the_score_of_the_search_less_the_confirmed_one(search, judged):
    row = judged.found[0]
    own = next(each.score for each in search.best if each.key == row.key)
    assert row.optimism == pytest.approx(own - row.confirmed)


def test_the_headline_is_that_of_the_verdict(search, judged):
    assert headline(search, judged).startswith("1 of the best 3 cells is better than the GRU somewhere")


def test_a_verdict_in_which_nothing_is_better_says_so(search, judged):
    rows = [row._replace(better=0) for row in judged.rows]
    assert headline(search, judged._replace(rows=rows)).startswith("None of the best 3 cells is better than the GRU")


def test_a_verdict_that_still_runs_says_so(search, of_verdict):
    rows, values = of_verdict
    begun = [row for row in rows if "stage" not in row][:-10]
    judged = verdict(search, Study.of(tidy(begun), {**values, "stages": {}}))
    whole = verdict(search, Study.of(tidy(rows), values))
    assert (judged.finished, whole.finished) == (False, True)
    for rows in (judged.rows, [row._replace(better=0) for row in judged.rows]):
        assert "as far as their study has run" in headline(search, judged._replace(rows=rows))


# The page
# ---------------------------------------------------------------------------------------------------------------------


def test_a_page_asks_for_no_other_file(page):
    assert re.findall(r"""(?:src|href|srcset)="(?!data:|#)[^"]*""", page) == []


def test_a_card_has_distances_scores_and_the_command_that_adopts_the_cell(plain, search, results):
    card, own = cards(search, results)[0], search.best[0]
    gru = Graph.read(search.cells["gru"])
    assert card.distances["GRU"] == distance(gru, Graph.read(own.equations))
    assert min(card.ratios.values()) == card.score == own.score
    assert card.adopt.startswith(f"python -m runs.discover name=made_up action=adopt hash={own.key}")


def test_the_best_ten_are_drawn_or_say_why_not(page, search):
    drawn = 0
    for each in search.best[:10]:
        part = page.split(f'<article id="{found_label(each.key)}">')[1].split("</article>")[0]
        assert ("<svg" in part) != ("No diagram: " in part)
        drawn += "<svg" in part
    assert drawn >= 5


def test_text_of_a_stranger_is_escaped(plain, search, tmp_path):
    table = search.table.copy()
    table.loc[table["arm"] == "start", "label"] = "<script>alert(1)</script>"
    about = {"facts": {"commit": "<script>alert(2)</script>"}}
    text = write_page(Search(search.plan, table, about), None, tmp_path, tmp_path).read_text()
    assert "<script>alert" not in text


# The command
# ---------------------------------------------------------------------------------------------------------------------


def test_the_command_writes_the_page_with_the_verdict_and_lists_it(plain, results, capsys):
    assert main(["from=made_up", f"results={results}"]) == 0
    path = results / "made_up" / "found.html"
    assert str(path) in capsys.readouterr().out
    assert 'id="verdict"' in path.read_text()
    html = (results / "index.html").read_text()
    assert 'href="made_up/found.html"' in html
    assert "1 of the best 3 cells is better" in html


def test_a_study_of_other_cells_is_no_verdict(plain, results, search, capsys, tmp_path):
    table = search.table.assign(key=[f"{number:010x}" for number in search.table["index"]])
    write_candidates(search.plan, table, {}, tmp_path / "x.parquet")
    assert main([f"from={tmp_path / 'x.parquet'}", f"results={results}", f"out={tmp_path}"]) == 0
    assert "no verdict: study made_up_verdict has none of the cells" in " ".join(capsys.readouterr().out.split())
    assert 'id="verdict"' not in (tmp_path / "made_up" / "found.html").read_text()


def test_a_search_without_a_page_is_listed_with_the_command_that_writes_it(tmp_path):
    (tmp_path / "mine" / "kernels").mkdir(parents=True)
    (tmp_path / "mine" / "journal.log").touch()
    assert f"python -m analysis.discovery name=mine results={tmp_path}" in write_index(tmp_path).read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say which search, by one of name=... and from=..., got neither"),
        (["name=a", "from=b"], "say which search, by one of name=... and from=..., got name and from"),
        (["name=mine"], "study 'mine' has not been started in "),
        (["name=../x"], "name of a study|search must be"),
        (["from=made_upp"], "there is no file made_upp, and no table .*; did you mean 'made_up'?"),
        (["from=archive:nothere"], "there is no archive archive:nothere"),
        (["from=FOLDER/found_of.txt"], "must be a table of candidates, as action=export"),
    ],
)
def test_a_mistake_is_one_line(results, capsys, arguments, said):
    (results / "found_of.txt").write_text("no")
    given = [word.replace("FOLDER", str(results)) for word in arguments]
    assert main([*given, f"results={results}"]) == 2
    wrong = capsys.readouterr().err
    assert wrong.count("\n") == 1
    assert re.search(said, wrong)


def test_equations_that_do_not_parse_are_one_line(plain, search, results, capsys, tmp_path):
    table = search.table.assign(equations="h = tanh(")
    write_candidates(search.plan, table, {}, tmp_path / "broken.parquet")
    assert main([f"from={tmp_path / 'broken.parquet'}", f"results={results}", f"out={tmp_path}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_table_that_lacks_columns_is_one_line(search, results, capsys, tmp_path):
    write_candidates(search.plan, search.table.drop(columns="score"), {}, tmp_path / "broken.parquet")
    assert main([f"from={tmp_path / 'broken.parquet'}", f"results={results}", f"out={tmp_path}"]) == 2
    assert "score" in capsys.readouterr().err


def test_another_name_in_the_plan_is_the_folder_of_the_page(plain, search, results, tmp_path):
    plan = replace(search.plan, design=replace(search.plan.design, name="other"))
    write_candidates(plan, search.table, {}, tmp_path / "x.parquet")
    assert main([f"from={tmp_path / 'x.parquet'}", f"results={results}", f"out={tmp_path}"]) == 0
    assert (tmp_path / "other" / "found.html").is_file()
