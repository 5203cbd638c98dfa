"""What the catalogues print fits a terminal of 80 columns."""

import pytest

from tasks.__main__ import main as show_tasks
from tasks.catalogue import entries as all_tasks
from tasks.task import DataTask
from variants.__main__ import main as show_variants
from variants.catalogue import entries as all_variants

TASKS = [name for name, cls in all_tasks().items() if not issubclass(cls, DataTask)]  # which need no files
CALLS = [
    *((show_variants, [name, *kernel]) for name in all_variants() for kernel in ([], ["--kernel"])),
    *((show_tasks, [name]) for name in (*TASKS, "sequences")),
    (show_variants, []),
    (show_tasks, []),
]


@pytest.mark.parametrize(
    ("show", "arguments"), CALLS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_catalogue_fits_the_terminal(monkeypatch, capsys, show, arguments):
    monkeypatch.setenv("COLUMNS", "80")
    assert show(arguments) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []
