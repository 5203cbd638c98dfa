"""Processes beside the analysis: the same results with and without forks, and mistakes that arrive."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial

import pytest

from analysis import processes
from analysis.figures import gallery
from analysis.load import Options
from analysis.processes import Companion, forks, shared
from analysis.run import analyse
from runs.console.progress import Progress
from runs.record.archive import Archive, write_archive
from runs.record.rows import tidy
from tests.analysis import synthetic
from tests.analysis.synthetic import by_hand

needs_forks = pytest.mark.skipif(not forks(), reason="this process cannot be forked here")


@pytest.fixture(params=["forked", "not forked"])
def either(request, monkeypatch):
    """Run a test with forks, where there are any, and without."""
    if request.param == "not forked":
        monkeypatch.setattr(processes, "forks", lambda: False)
    elif not forks():
        pytest.skip("this process cannot be forked here")
    return request.param == "forked"


def test_a_companion_keeps_what_it_has_done_before(either):
    with Companion() as companion:
        assert companion.call(divmod, 17, 5) == (3, 2)
        assert companion.call(os.getpid) == companion.call(os.getpid)
        assert (companion.call(os.getpid) == os.getpid()) is not either


def test_a_mistake_in_a_companion_is_raised_here_and_does_not_end_it(either):
    with Companion() as companion:
        with pytest.raises(ValueError, match="invalid literal"):
            companion.call(int, "x")
        assert companion.call(int, "7") == 7


@needs_forks
def test_a_companion_that_is_killed_is_reported():
    with Companion() as companion:
        companion.begin(os.kill, companion.call(os.getpid), signal.SIGKILL)
        with pytest.raises(RuntimeError, match="has ended"):
            companion.result()


@needs_forks
def test_no_process_is_left_when_a_companion_is_left_by_a_mistake():
    with suppress(KeyError), Companion() as companion:
        child = companion.call(os.getpid)
        raise KeyError
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@needs_forks
def test_shared_jobs_come_back_in_their_order_from_other_processes():
    jobs = [lambda number=number: (number, os.getpid()) for number in range(7)]  # they cannot be sent
    found = list(shared(jobs, workers=2))
    assert [number for number, _ in found] == list(range(7))
    assert os.getpid() not in {process for _, process in found}


@needs_forks
def test_a_mistake_in_a_shared_job_is_raised_in_its_turn():
    results = shared([partial(int, "5"), partial(int, "y"), partial(int, "6")], workers=2)
    assert next(results) == 5
    with pytest.raises(ValueError, match="'y'"):
        next(results)


def test_a_process_with_another_thread_is_not_forked():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert not forks()
    finally:
        done.set()
        thread.join()


@needs_forks
def test_figures_of_forked_processes_have_the_same_bytes(tmp_path, monkeypatch):
    kept = [entry for entry in gallery.FIGURES if entry.name in ("heat_map", "solve_curves", "boxes")]
    monkeypatch.setattr(gallery, "FIGURES", kept)
    study = by_hand({}, {"variant": "gru"})
    forked = gallery.draw_all(study, {}, tmp_path / "forked", 2)
    monkeypatch.setattr(processes, "forks", lambda: False)
    here = gallery.draw_all(study, {}, tmp_path / "here", 2)
    assert [shown.name for shown in forked] == [shown.name for shown in here] == [entry.name for entry in kept]
    for one, other in zip(forked, here, strict=True):
        assert [path.read_bytes() for path in one.files] == [path.read_bytes() for path in other.files]


def test_every_long_part_of_an_analysis_says_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "FIGURES", [entry for entry in gallery.FIGURES if entry.name == "heat_map"])
    rows, design = synthetic.study(("vanilla", "gru"), points=40)
    write_archive(Archive.of(tidy(rows), design), tmp_path / "archive")
    told = []

    class Told(Progress):
        def step(self, line):
            told.append(line)

        def follow(self, items, what, total=None):
            told.append(what)
            return iter(items)

    archive = tmp_path / "archive" / "trials.parquet"
    analyse(Options(archive=archive, out=tmp_path / "out", progress=Told(silent=True)))
    assert told == [
        "synthetic: 80 trials are read",
        "importance of the hyperparameters",
        "comparisons, claims, recommended settings, stages",
        "figures",
        "report",
    ]


@needs_forks
def test_an_analysis_imports_torch_in_its_companion_only():
    code = (
        "import sys; from pathlib import Path; from analysis.load import Options, begin_to_load, load\n"
        "from analysis.processes import Companion\n"
        "with Companion() as companion:\n"
        "    begin_to_load(Options(study='none', results=Path('nowhere')), companion)\n"
        "    import analysis.run\n"
        "    try: load(Options(study='none'), companion)\n"
        "    except ValueError as error: print(error)\n"
        "    print(companion.call(eval, \"'torch' in __import__('sys').modules\"), 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "study 'none' has not been started in nowhere; there is: none\nTrue False\n", done.stderr
