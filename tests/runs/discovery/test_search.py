"""A search in its storage: the same bits whoever runs it, extended, killed, and refused."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from runs.configuration.discovery import plan_from
from runs.discovery import search as module
from runs.discovery.candidate import NOTHING, SCORED
from runs.discovery.finding import found
from runs.discovery.mutation import Mutant
from runs.discovery.plan import MUTATION, NAMES, RANDOM, REFERENCE, START
from runs.discovery.proposing import DRAWN, proposed
from runs.discovery.search import CellSearch
from runs.discovery.status import funnel, said
from runs.discovery.trials import Trials
from runs.study.finding import find
from runs.study.plan import Search
from runs.study.presence import NoStudy
from runs.study.storage.opening import close_storage, open_storage
from runs.study.study import Study
from runs.workers.worker import work
from tests.runs.discovery.conftest import make_plan, numbers, tried
from tests.runs.servers import postgres
from tests.test_house import ROOT
from variants.formula.cell import Formula

SMOKE = ["discovery=smoke", "name=found"]


def started(results, *arguments, env=None):
    command = [sys.executable, "-m", "runs.discover", *SMOKE, f"results={results}", *arguments]
    own = {**os.environ, **(env or {})}
    out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, env=own, **out)


def test_every_candidate_is_told_once_in_its_place(searched, told):
    plan = searched.plan
    assert [each.candidate.index for each in told] == [*range(plan.length)]
    assert [each.candidate.generation for each in told] == [plan.generation(k) for k in range(plan.length)]
    arms = [REFERENCE] * 2 + [START] + [NAMES] * 2 + ([MUTATION] * 5 + [RANDOM]) * 2
    assert [each.candidate.arm for each in told] == arms


def test_candidates_that_no_gate_stops_are_trained_on_all_tasks(searched, told):
    open_ones = [each for each in told if not each.candidate.gated and each.candidate.operation != "again"]
    assert len(open_ones) == 5
    assert all(list(each.result.values) == searched.plan.stages for each in open_ones)
    assert {each.result.status for each in open_ones} == {SCORED}


def test_a_cell_is_new_unless_it_is_evaluated_again_at_other_points(told):
    places = [(each.candidate.arm, each.candidate.key, each.candidate.block, each.candidate.name) for each in told]
    assert len(set(places)) == len(places)
    again = [each.candidate for each in told if each.candidate.operation == "again"]
    assert again
    assert all(each.block > 0 for each in again)


def test_the_gru_under_other_names_has_other_seeds_at_the_same_points(searched, told):
    trials, cell = Trials(searched.plan), Formula()
    reference, *names = [each.candidate for each in told if each.candidate.arm in (REFERENCE, NAMES)][::2]
    of = [trials.of(candidate, cell, "adding", 0) for candidate in (reference, *names)]
    assert len({trial.seed for trial in of}) == len(of)
    assert len({trial.training for trial in of}) == len({trial.data_seed for trial in of}) == 1


def test_the_same_seed_gives_the_same_search_and_another_one_another(tmp_path, searched):
    again = tried(tmp_path / "again", make_plan())
    assert numbers(again) == numbers(searched)
    other = CellSearch.create(open_storage("", tmp_path / "other"), make_plan(seed=7), {})
    told = searched.told(1)
    assert [c.key for c in proposed(other.plan, 1, told)] != [c.key for c in proposed(searched.plan, 1, told)]


def test_an_extended_search_keeps_its_first_generations(tmp_path, searched):
    short = tried(tmp_path, make_plan(generations=1))
    assert short.plan.length < searched.plan.length
    assert numbers(short) == numbers(searched)[: short.plan.length]
    assert numbers(tried(tmp_path, make_plan())) == numbers(searched)
    assert CellSearch.create(open_storage("", tmp_path), make_plan(generations=1), {}).plan.generations == 2


def test_an_extension_with_other_settings_is_refused_and_changes_nothing(tmp_path):
    CellSearch.create(open_storage("", tmp_path), make_plan(), {})
    before = (tmp_path / "journal.log").read_bytes()
    with pytest.raises(
        ValueError, match=r"^search 'found' exists with a different plan \(pool: 4 there, 9 here\)\. Nothing"
    ):
        CellSearch.create(open_storage("", tmp_path), make_plan(pool=9, generations=5), {})
    assert (tmp_path / "journal.log").read_bytes() == before


def test_a_generation_waits_until_all_before_it_are_told(tmp_path):
    search = CellSearch.create(open_storage("", tmp_path), make_plan(), {})
    first = search.claim()
    second = search.claim()
    assert [first.candidate.arm, second.candidate.arm] == [REFERENCE, REFERENCE]
    assert search.claim() is None
    search.finish(first, search.run(first, lambda: False))
    assert (search.enqueue(), search.claim()) == (0, None)
    search.finish(second, search.run(second, lambda: False))
    assert search.enqueue() == len(search.plan.numbers(1))
    assert search.claim().candidate.generation == 1


def test_a_candidate_whose_worker_died_is_tried_again(tmp_path):
    search = CellSearch.create(open_storage("", tmp_path), make_plan(), {})
    claim = search.claim()
    search.storage.set_trial_user_attr(claim.number, "worker", {"host": os.uname().nodename, "pid": 0, "started": "x"})
    assert search.recover() == 1
    others, again = search.claim(), search.claim()
    assert others.index == 1
    assert (again.candidate, again.number == claim.number) == (claim.candidate, False)


def test_a_worker_leaves_after_some_candidates_so_that_machine_code_does_not_pile_up(tmp_path, monkeypatch):
    monkeypatch.setattr("runs.workers.worker.stop_on_signal", lambda: lambda: False)
    monkeypatch.setattr(CellSearch, "most", 1)
    search = CellSearch.create(open_storage("", tmp_path), make_plan(), {})
    assert [work("", tmp_path, search.plan.key) for _ in range(3)] == [1, 1, 1]
    assert len(search.told()) == 3


def test_a_search_stops_where_the_gru_does_not_solve_a_task(tmp_path):
    plan = make_plan(budgets={"adding": 2})
    search = tried(tmp_path, plan)
    assert [each.candidate.arm for each in search.told()] == [REFERENCE] * 2
    assert search.refusal().startswith(
        "task adding must be one that the GRU solves: within 2 updates it does so at none of its 1 "
    )
    assert search.left() == 0


def test_a_gate_that_nothing_passes_is_said_with_the_funnel(tmp_path):
    search = tried(tmp_path, make_plan(toy_reach=1.5, generations=1, names=0))
    told = search.told()
    counts = funnel(search.plan, told, MUTATION)
    assert (counts["new cells"], counts["scored"]) == (5, 0)
    assert counts["ended at memorisation"] + counts["invalid when run"] + counts["the same as another"] == 5
    lines = [line for line in said(search.plan, told, counts) if "passed" in line]
    assert lines[0].startswith("no cell of the arm mutation passed memorisation, where ")
    assert lines[0].endswith("a smaller toy_reach lets more pass")


def test_where_no_new_cell_is_found_the_candidate_ends_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("runs.discovery.proposing.mutant", lambda graph, generator: Mutant(graph, ()))
    search = tried(tmp_path, make_plan(generations=1, fresh=0, names=0, again=0.0))
    last = search.told()[-1]
    assert (last.candidate.equations, last.candidate.duplicates, last.result.status) == ("", DRAWN, NOTHING)
    assert funnel(search.plan, search.told(), MUTATION)["no cell found"] == 5


def test_an_error_in_a_candidate_ends_that_candidate_only(tmp_path, monkeypatch):
    def broken(graph):
        raise ZeroDivisionError("an equation divides by 0")

    monkeypatch.setattr("runs.discovery.evaluation.refusal", broken)
    search = tried(tmp_path, make_plan(generations=1, names=0, again=0.0))
    failed = [each.result for each in search.told() if each.candidate.gated]
    assert {each.reason for each in failed} == {"ZeroDivisionError: an equation divides by 0"}
    assert {each.status for each in failed} == {"failed"}


def test_a_study_and_a_search_of_one_name_do_not_share_a_storage(tmp_path):
    storage = open_storage("", tmp_path)
    Study.create(storage, Search(replace(make_plan().design, points=1)), {})
    with pytest.raises(ValueError, match="name must be that of no study in the same storage, got 'found'"):
        CellSearch.create(storage, make_plan(), {})
    close_storage(storage)


def test_a_study_that_is_asked_for_as_a_search_and_the_other_way_round_is_named(tmp_path, searched):
    folder = Path(searched.storage.path).parent
    said = r"^'found' is a search for cells and no study; python -m runs\.discover name=found action=status"
    with pytest.raises(NoStudy, match=said):
        find(folder.parent, "found")
    Study.create(open_storage("", tmp_path / "mine"), Search(replace(make_plan().design, name="mine", points=1)), {})
    with pytest.raises(ValueError, match="search 'mine' is not in its storage; a study of this name is no search"):
        found(tmp_path, "mine")


def test_a_search_is_read_as_it_was_planned(searched):
    assert CellSearch.open(searched.storage, "found/search").plan == searched.plan
    assert json.loads(json.dumps(searched.plan.as_dict())) is not None


def test_two_workers_of_the_command_give_the_bits_of_one(tmp_path, composed):
    process = started(tmp_path / "two", "workers=2")
    one = numbers(tried(tmp_path / "one", plan_from(composed("discover", overrides=SMOKE))))
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert numbers(found(tmp_path / "two", "found")) == one
    assert len(one) == 21


@pytest.mark.slow
def test_postgres_gives_the_search_of_the_journal(tmp_path, composed):
    one = numbers(tried(tmp_path / "one", plan_from(composed("discover", overrides=SMOKE))))
    with postgres() as server:
        url = server.create("cells")
        for generations in (1, 2):
            words = ["storage=postgres", "workers=2", f"generations={generations}"]
            process = started(tmp_path / "two", *words, env={"STUDY_STORAGE": url})
            output, _ = process.communicate(timeout=300)
            assert process.returncode == 0, output
        search = found(tmp_path / "two", "found", url)
        assert numbers(search) == one
        close_storage(search.storage)


@pytest.mark.slow
def test_kills_in_the_middle_lose_and_double_nothing(tmp_path):
    whole = started(tmp_path / "whole", "workers=2")
    whole.communicate(timeout=300)
    killed = tmp_path / "killed"
    for wanted in (1, 4, 9):
        process = started(killed, "workers=2")
        journal = killed / "found" / "journal.log"
        end = time.monotonic() + 200
        while time.monotonic() < end and not (journal.exists() and journal.read_text().count('"outcome"') >= wanted):
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    process = started(killed, "workers=2")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert numbers(found(killed, "found")) == numbers(found(tmp_path / "whole", "found"))


def test_workers_are_replaced_after_a_number_of_candidates_that_is_not_zero():
    assert module.RENEWED == CellSearch.most > 0
