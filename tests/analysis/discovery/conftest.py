"""One made-up search that all tests of its page read, with a study of the verdict on it."""

import pytest

from analysis.discovery.search import Search
from analysis.discovery.verdict import verdict
from analysis.study import Study
from runs.discovery.table import frame, write_candidates
from runs.discovery.verdict import KNOWN, found_label, verdict_name
from runs.record.archive import write_values
from runs.record.rows import tidy
from tests.analysis.discovery.made_up import FACTS, made_up_plan, told_of
from tests.analysis.synthetic import staged, study


@pytest.fixture(scope="session")
def plan():
    return made_up_plan()


@pytest.fixture(scope="session")
def told(plan):
    return told_of(plan)


@pytest.fixture(scope="session")
def search(plan, told):
    return Search(plan, frame(plan, told), FACTS)


@pytest.fixture(scope="session")
def of_verdict(search):
    """Rows and design of a study of the verdict: the best cell is much better than the GRU, the second much worse."""
    found = [found_label(each.key) for each in search.best[:3]]
    skill = {**dict.fromkeys(KNOWN, 0.2), found[0]: 1.8, found[1]: -2.0, found[2]: 0.2}
    names = ("gru", *found, "vanilla")
    rows, values = staged(*study(names, points=40, skill=skill, name=verdict_name(search.plan)))
    return rows, {**values, "baseline": "gru"}


@pytest.fixture(scope="session")
def judged(search, of_verdict):
    rows, values = of_verdict
    return verdict(search, Study.of(tidy(rows), values))


@pytest.fixture(scope="session")
def results(search, of_verdict, tmp_path_factory):
    """A results folder with the table of the search, and the archive of the study of the verdict."""
    folder = tmp_path_factory.mktemp("results")
    (folder / search.name).mkdir()
    write_candidates(search.plan, search.table, FACTS, folder / search.name / "candidates.parquet")
    rows, values = of_verdict
    write_values(tidy(rows), values, folder / verdict_name(search.plan))
    return folder
