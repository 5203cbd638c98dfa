import errno
import json
import re
from pathlib import Path

import pytest

from runs.study.finding import records
from runs.study.plan import Search
from runs.study.storage.journal import DamagedJournal, line_of
from runs.study.storage.opening import open_storage
from runs.study.storage.repair import repaired
from runs.study.study import Study
from runs.trial.classes import NotAllowed
from runs.trial.trial import Outcome
from runs.workers.actions import repair, retry
from runs.workers.pool import sole_parent

KEYS = ("task", "variant", "point", "test_loss", "learning_rate")


@pytest.fixture
def folder(tmp_path, design):
    """The folder of a finished study whose losses tell its trials apart."""
    folder = tmp_path / "study"
    study = Study.create(open_storage("", folder), Search(design), {"commit": "abc"})
    for k in range(study.size):
        claim = study.claim()
        loss = 0.1 + k / 100
        study.finish(
            claim,
            Outcome(status="finished", validation_loss=loss, test_loss=loss, curve_steps=(0,), curve_losses=(1.0,)),
        )
    return folder


def rows(folder):
    return {tuple(row[k] for k in KEYS) for row in records(folder.parent, "study")[0]}


def lines_of(folder):
    return (folder / "journal.log").read_bytes().splitlines(keepends=True)


def first(lines, text):
    return next(k for k, line in enumerate(lines) if text in line)


def damage(folder, lines):
    before = rows(folder)
    (folder / "journal.log").write_bytes(b"".join(lines))
    return before


def mend(folder):
    return list(repaired(folder / "journal.log", "study"))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.77, 0.99])
@pytest.mark.parametrize("bit", [0, 6])
def test_a_flipped_bit_is_put_right(folder, share, bit):
    good = (folder / "journal.log").read_bytes()
    bad = bytearray(good)
    bad[int(share * len(good))] ^= 1 << bit
    (folder / "journal.log").write_bytes(bytes(bad))
    assert "a bit had flipped; nothing is lost" in mend(folder)[1]
    assert (folder / "journal.log").read_bytes() == good


@pytest.mark.parametrize("place", [-1, -2, -3, -4, -12, -14, -20])
def test_a_flipped_bit_at_the_end_of_a_line_is_put_right(folder, place):
    lines = lines_of(folder)
    good = b"".join(lines)
    line = bytearray(lines[9])
    line[place] ^= 2
    lines[9] = bytes(line)
    (folder / "journal.log").write_bytes(b"".join(lines))
    mend(folder)
    assert (folder / "journal.log").read_bytes() == good


def test_a_flipped_bit_that_ends_a_line_too_early_is_put_right(folder):
    open_storage("", folder).set_study_user_attr(0, "note", "J")
    open_storage("", folder).set_study_user_attr(0, "note", "K")
    good = (folder / "journal.log").read_bytes()
    assert ord("J") ^ ord("\n") == 1 << 6
    (folder / "journal.log").write_bytes(good.replace(b'"J"', b'"\n"'))
    assert "a bit had flipped; nothing is lost" in mend(folder)[1]
    assert (folder / "journal.log").read_bytes() == good


def test_the_damaged_file_is_kept_as_it_was(folder):
    lines = lines_of(folder)
    damage(folder, [*lines[:5], b"nonsense\n", *lines[5:]])
    bad = (folder / "journal.log").read_bytes()
    said = mend(folder)
    (kept,) = folder.glob("journal.log.damaged-*")
    assert kept.read_bytes() == bad
    assert str(kept) in said[0]
    assert "line 6: lost 9 bytes; lost: nonsense." in said[1]


def test_an_intact_journal_is_left_alone(folder):
    before = (folder / "journal.log").read_bytes()
    assert mend(folder) == [f"{folder / 'journal.log'}: every whole record is intact"]
    assert (folder / "journal.log").read_bytes() == before
    assert not list(folder.glob("*damaged*"))


def test_what_stands_behind_the_last_line_end_is_kept_beside_the_journal(folder):
    good = (folder / "journal.log").read_bytes()
    (folder / "journal.log").write_bytes(good + b"\0" * 5000)
    (said,) = mend(folder)
    (kept,) = folder.glob("journal.log.damaged-*")
    assert "5000 bytes behind the last line end are gone" in said
    assert (kept.read_bytes(), (folder / "journal.log").read_bytes()) == (good + b"\0" * 5000, good)


@pytest.mark.parametrize(
    "text", [b'"op_code":4', b'"outcome"', b'"worker"', b'"state":1,"values"', b'"facts"', b'"study/recall/gru"']
)
def test_a_record_that_cannot_be_read_costs_no_other_trial_and_its_own_runs_again(folder, text, design):
    lines = lines_of(folder)
    k = first(lines, text)
    middle = len(lines[k]) // 2
    lines[k] = lines[k][:middle] + b"\0" * 30 + lines[k][middle + 30 :]
    before = damage(folder, lines)
    with pytest.raises(DamagedJournal):
        rows(folder)
    assert any("lost: " in line for line in mend(folder))
    study = Study.create(open_storage("", folder), Search(design), {})
    study.set_aside()
    study = Study.create(open_storage("", folder), Search(design), {})
    after = rows(folder)
    assert after <= before
    left = sum(c["waiting"] + c["running"] for c in study.counts().values())
    assert left + len(after) == len(before)
    assert left <= 3


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_block_of_zeros_over_created_trials_leaves_the_later_ones_where_they_were(folder, count, design):
    lines = lines_of(folder)
    k = first(lines, b'"op_code":4') + 1
    gone = b"".join(lines[k : k + count])
    before = damage(folder, [*lines[:k], b"\0" * (len(gone) - 1) + b"\n", *lines[k + count :]])
    mend(folder)
    assert rows(folder) < before
    assert len(before) - len(rows(folder)) == count
    study = Study.create(open_storage("", folder), Search(design), {})
    assert sum(c["waiting"] for c in study.counts().values()) == count


def test_a_journal_without_checksums_is_repaired_too(folder):
    text = re.sub(rb',"crc":"[0-9a-f]{8}"\}', b"}", (folder / "journal.log").read_bytes())
    lines = text.splitlines(keepends=True)
    k = first(lines, b'"op_code":4')
    lines[k] = lines[k].replace(b'"study_id"', b'"study_id', 1)
    before = damage(folder, lines)
    mend(folder)
    assert rows(folder) < before
    assert len(rows(folder)) == len(before) - 1


def test_a_journal_of_own_classes_that_may_not_be_imported_is_left_as_it_is(folder):
    records = [json.loads(line.replace(b"variants.GRU", b"my_package.Mine")) for line in lines_of(folder)]
    lines = [line_of({key: value for key, value in record.items() if key != "crc"}) for record in records]
    k = first(lines, b'"op_code":4') + 1
    bad = b"".join([*lines[:k], b"\0" * (len(lines[k]) - 1) + b"\n", *lines[k + 1 :]])
    (folder / "journal.log").write_bytes(bad)
    with pytest.raises(NotAllowed, match=r"set LSTM_VARIANTS_CLASSES=my_package\.Mine"):
        mend(folder)
    assert ((folder / "journal.log").read_bytes(), list(folder.glob("*damaged*"))) == (bad, [])


@pytest.mark.parametrize("action", [repair, retry])
def test_a_folder_that_may_only_be_read_is_named(action, folder, monkeypatch):
    def touch(self):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "touch", touch)
    before = (folder / "journal.log").read_bytes()
    with pytest.raises(ValueError, match=f"cannot write into {folder}: Read-only file system"):
        action("", folder, "study", "search")
    assert (folder / "journal.log").read_bytes() == before


def test_a_study_that_runs_is_not_repaired(folder):
    with sole_parent(folder), pytest.raises(ValueError, match="one is running on"):
        repair("", folder, "study", "search")


def test_optuna_itself_reads_a_repaired_journal(folder):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    lines = lines_of(folder)
    k = first(lines, b'"op_code":4')
    damage(folder, [*lines[:k], b"\0" * 40 + lines[k][40:], *lines[k + 1 :]])
    mend(folder)
    theirs = JournalStorage(JournalFileBackend(str(folder / "journal.log")))
    assert "study/adding/gru" in {s.study_name for s in theirs.get_all_studies()}
