"""The file of a diagnosis: arrays of numbers and what they belong to, written and read without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ..files import replacing

FORMAT = "lstm-variants diagnosis 2"

Arrays = dict[str, NDArray[Any]]


class Diagnosis(NamedTuple):
    """What was found in a trained network.

    about: plain values: `task`, `variant`, `trial_id`, `hidden_size`, `layers`, `lag`, `status` and `test_loss` of the
    run, whether it `reproduced` the one on record, and `functions`, what squashes each gate.
    arrays: numbers by name; `runs.trial.diagnosis.diagnose` says which.
    """

    about: Mapping[str, Any]
    arrays: Arrays


def write_diagnosis(path: Path, diagnosis: Diagnosis) -> None:
    """Write a diagnosis as .npz; a file of this name is replaced at once or not at all.

    The arrays keep their names; beside them stands `about`, JSON text with the format.
    """
    about = json.dumps({"format": FORMAT, **diagnosis.about})
    with replacing(path) as part:
        np.savez_compressed(part, **diagnosis.arrays, about=np.array(about))  # type: ignore[arg-type]


def damaged(path: Path, error: Exception) -> ValueError:
    """Return the error for a file that cannot be read for this reason: it says what to do about it."""
    return ValueError(f"{path} is not a diagnosis of python -m runs.inside; delete it and run that again ({error})")


def read_diagnosis(path: Path) -> Diagnosis | None:
    """Return the diagnosis in a file, None where it has another format.

    Nothing is unpickled. Raises ValueError where the file is damaged or absent.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop("about", "{}")))
        if about.get("format") != FORMAT:
            return None
    except (OSError, ValueError, KeyError, AttributeError, EOFError, BadZipFile) as error:
        raise damaged(path, error) from None
    return Diagnosis(about, arrays)
