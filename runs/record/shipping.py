"""Makes the small archive of a study that is shipped: without curves, and without what concerns its owner only."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments import on_record
from ..files import replacing
from .archive import METRIC, Archive, checksum_of, read_table, store_table, stored_checksum
from .rows import names_of
from .shipped import CURVES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FACTS = ("commit", "code", "python", "versions", "processor", "created", "unnamed")
OF_A_STAGE = ("stage", "points", "knobs", "chosen", "trials")
OWN_FOLDER = ("--config-dir", "-cd", "--config-path", "-cp")
MESSAGES = ("error", "why_eager", "why_autograd")
PLACES = ("results", "tracking", "storage", "workers", "out", "trial_seconds")
"""Keys of a command that say where and how fast a study ran, not what it ran."""

FEW = 0.5
"""A column of which a smaller share of the values is different is stored as numbers of a list of values."""

_PART = r"[^\s/\\'\":;,()]+"
_START = r"(?:file:/*)?(?:~[\w.-]*|[A-Za-z]:)?"
_HOME = re.compile(rf"(?<!\w)(?:[A-Za-z]:)?[/\\]+(?:home|Users)[/\\]+{_PART}")
_FOLDERS = re.compile(rf"(?<![\w/.:\\]){_START}(?:[/\\]+{_PART})*[/\\]+(?={_PART})")
_QUOTED = re.compile(rf"""(['"])({_START}[/\\][^'"\n]*)\1""")


def ship(archive: Archive, path: Path) -> bool:
    """Write the archive of a study as it is shipped; return whether the file is another one than before.

    The same trials give the same file, to the byte. Every value of the table is kept to the last bit, but for the
    curves and for the folders in the messages of failed trials.

    archive: with the curves or without.
    path: of the file, which is replaced as a whole or not at all. It stays as it is where it has the same content, even
        if another version of pyarrow wrote it.

    Raises ValueError where the design of the study holds a path of its owner's machine.
    """
    values = {**archive.design.as_dict(), **public(archive.about)}
    refuse_paths(archive.design.as_dict())
    table = packed(archive.table)
    if path.is_file() and stored_checksum(read_table(path)) == checksum_of(table, values):
        return False
    few = [name for name in table.column_names if len(table.column(name).unique()) < FEW * max(table.num_rows, 1)]
    store_table(
        table, values, path, compression="zstd", compression_level=19, use_dictionary=few, write_statistics=False
    )
    return True


def write_curves(table: pd.DataFrame, path: Path) -> Path:
    """Write the learning curves of a study in single precision, by the ids of its trials; return the path.

    table: the tidy table.
    path: of the archive that they belong to, or of a file of that name in another folder; the curves get the ending
        `.curves.parquet`. An archive is read with its curves where they lie beside it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: pa.array(list(table[name]), pa.list_(pa.int32())) for name in names_of("integers")}
    columns |= {name: pa.array(list(table[name]), pa.list_(pa.float32())) for name in names_of("floats")}
    arrow = pa.table({"trial_id": pa.array(table["trial_id"]), **columns})
    path = path.with_name(path.stem + CURVES)
    with replacing(path) as part:
        pq.write_table(arrow, part, compression="zstd", compression_level=19)
    return path


def packed(table: pd.DataFrame) -> pa.Table:
    """Return a tidy table without its curves in as few bits as hold every value exactly.

    Floats become single precision where nothing is lost, and the metrics on the test set columns of their own.
    """
    import pyarrow as pa

    lists, columns = names_of("integers", "floats"), dict[str, pa.Array]()
    for name in table.columns.difference(lists, sort=False):
        if name == "test_metrics" and (metrics := _metrics(table)) is not None:
            columns |= {METRIC + metric: _narrow(pa.array(values)) for metric, values in metrics.items()}
        elif name in MESSAGES:
            columns[name] = pa.array([without_folders(text) for text in table[name]], pa.string())
        else:
            columns[name] = _narrow(pa.array(table[name], from_pandas=True))
    return pa.table(columns)


def _narrow(array: pa.Array) -> pa.Array:
    import pyarrow as pa

    if not pa.types.is_floating(array.type):
        return array
    single = array.cast(pa.float32(), safe=False)
    return single if single.cast(pa.float64()).equals(array) else array


def _metrics(table: pd.DataFrame) -> dict[str, list[float | None]] | None:
    """Return the metrics on the test set by name, but for the test loss; None where columns cannot hold them.

    That is where the text of a trial is another than the one that is made of the columns when they are read.
    """
    found = [json.loads(text) for text in table["test_metrics"]]
    names = dict.fromkeys(name for metrics in found for name in metrics if name != "loss")
    for metrics, text, loss in zip(found, table["test_metrics"], table["test_loss"], strict=True):
        ours = {"loss": loss} if loss == loss else {}
        ours |= {name: float(metrics[name]) for name in names if name in metrics}
        if json.dumps(ours) != text:
            return None
    return {name: [metrics.get(name) for metrics in found] for name in names}


def public(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a study that everybody may see.

    They are commit, versions and processor of every session, of the stages too, the commands without the names of
    folders, and the baselines of the tasks. Addresses of storages and of MLflow, and names of machines, are left out.

    about: see `Archive.about`.
    """
    kept = _public_facts(about)
    kept["sessions"] = [_public_facts(own) for own in about.get("sessions") or []]
    kept["stages"] = {
        stage: {
            **_public_facts(own),
            **{key: own[key] for key in OF_A_STAGE if key in own},
            "sessions": [_public_facts(session) for session in own.get("sessions") or []],
        }
        for stage, own in (about.get("stages") or {}).items()
    }
    if about.get("baselines"):
        kept["baselines"] = about["baselines"]
    return kept


def _public_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: facts[key] for key in FACTS if key in facts}
    if facts.get("machine"):  # x86_64, Linux 6.1.0-13-amd64
        known["machine"] = " ".join(str(facts["machine"]).split()[:2])
    if command := public_command(facts.get("command")):
        known["command"] = command
    return known


def public_command(command: Any) -> str:
    """Return the command of a session without where it wrote; empty where it names a folder all the same.

    >>> public_command("python -m runs.sweep study=quick results=/home/me/results workers=2 points=50")
    'python -m runs.sweep study=quick points=50'
    >>> public_command("python -m runs.sweep name=mine tasks.sequences.path=/home/me/patients.csv")
    ''
    """
    words = [word for word in shlex.split(on_record(command)) if word.lstrip("+").partition("=")[0] not in PLACES]
    text = shlex.join(words)
    own = any(word.startswith(OWN_FOLDER) for word in words)
    return "" if own or any(map(paths_in, words)) else text


def paths_in(text: str) -> bool:
    """Return whether a text holds an absolute path of a file or folder, or one in a home folder.

    >>> paths_in("path=/home/me/a.csv"), paths_in("~/a.csv"), paths_in("data/a.csv"), paths_in("https://example.org/a")
    (True, True, False, False)
    """
    text = text.replace("=", " ")
    return any(form.search(text) for form in (_HOME, _FOLDERS))


def without_folders(text: str) -> str:
    """Return a text in which each absolute path is the name of its file, and each home folder is ~.

    >>> without_folders("ValueError: cannot read '/home/my name/data/a.csv' in /home/me")
    "ValueError: cannot read 'a.csv' in ~"
    """
    text = _QUOTED.sub(lambda found: f"{found[1]}{_name_of_file(found[2])}{found[1]}", text)
    return _FOLDERS.sub("", _HOME.sub("~", text))


def _name_of_file(path: str) -> str:
    *folders, name = re.split(r"[/\\]+", path.rstrip("/\\"))
    return "~" if folders and folders[-1] in ("home", "Users") else name


def refuse_paths(values: Any) -> None:
    """Raise ValueError where the values of a design hold an absolute path, which would be published with them."""
    for key, text in _texts(values):
        if paths_in(text):
            raise ValueError(
                f"the design has {key}={text}, a path of this machine, which the archive would publish: run the study "
                "with a path relative to the folder in which the command is given"
            )


def _texts(values: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(values, str):
        yield key, values
    elif isinstance(values, Mapping):
        for name, value in values.items():
            yield from _texts(value, f"{key}.{name}" if key else str(name))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _texts(value, key)
