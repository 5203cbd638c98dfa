"""The archives that are shipped with the project: how they are named, and that each of them is whole and small."""

import pytest

from analysis.archive.searches import is_search
from runs.discovery.table import read_table
from runs.record import shipped
from runs.record.archive import read_archive
from runs.record.shipped import FOLDER, known_sums, located, names, sum_of, write_sum
from runs.record.shipping import paths_in, refuse_paths


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with two archives by name, in place of the one of the project."""
    for name in ("lags", "family", "lags.curves"):
        (tmp_path / f"{name}.parquet").write_bytes(name.encode())
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    return tmp_path


def test_a_shipped_archive_is_named_with_a_prefix_and_any_other_by_its_path(folder):
    assert located("archive:lags") == folder / "lags.parquet"
    assert located(str(folder / "family.parquet")) == folder / "family.parquet"


@pytest.mark.parametrize("value", ["archive:lag", "archive:lags.curves", "lags.parquet"])
def test_another_name_is_refused_with_those_that_there_are(folder, value):
    with pytest.raises(ValueError, match=r"archive:family, archive:lags|family, lags"):
        located(value)


def test_a_name_cannot_leave_the_folder(folder):
    with pytest.raises(ValueError, match="name of an archive"):
        located("archive:../lags")


def test_checksums_are_those_of_the_files_that_are_there(folder):
    write_sum(folder / "lags.parquet")
    write_sum(folder / "family.parquet")
    assert known_sums(folder) == {f"{name}.parquet": sum_of(folder / f"{name}.parquet") for name in ("family", "lags")}
    (folder / "lags.parquet").unlink()
    write_sum(folder / "family.parquet")
    assert list(known_sums(folder)) == ["family.parquet"]


def test_every_shipped_archive_is_on_the_list_of_checksums():
    assert sorted(known_sums()) == [f"{name}.parquet" for name in names()]


@pytest.mark.parametrize("name", names())
def test_a_shipped_archive_is_whole_small_and_says_where_it_ran(name):
    path = FOLDER / f"{name}.parquet"
    assert sum_of(path) == known_sums()[path.name]
    assert path.stat().st_size < 1_000_000
    if is_search(path):
        plan, table, about = read_table(path)
        assert plan.design.name == name
        assert not any(map(paths_in, table["reason"]))
        refuse_paths({**plan.as_dict(), **about})
        return
    archive = read_archive(path)
    assert archive.design.name == name
    refuse_paths({**archive.design.as_dict(), **archive.about})
    for stage, session in archive.table[["stage", "session"]].drop_duplicates().itertuples(index=False):
        assert {"commit", "code", "python", "versions", "processor"} <= {*archive.session(stage, session)}
