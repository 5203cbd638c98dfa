"""Runs trials with the code of any checkout of this project; each line that comes in is a trial, each answer its times.

`python worker.py FOLDER`: started by `against.py`, with the folder of the checkout. The answer to a trial is a line of
JSON, with the moments that `trials.stamps` returns, or with an error.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def known_to(cls: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Return those values that are fields of a class; an older checkout may lack some, which then have no effect."""
    return {name: value for name, value in values.items() if name in cls.__dataclass_fields__}


def answer(values: dict[str, Any]) -> dict[str, Any]:
    """Run a trial and return its moments, or why it did not reach its last update."""
    from runs.trial.training import run
    from runs.trial.trial import Model, Training, Trial

    parts = {"model": known_to(Model, values["model"]), "training": known_to(Training, values["training"])}
    moments: list[float] = []

    def stopping() -> bool:
        moments.append(time.process_time())
        return False

    try:
        trial = Trial.from_dict({**values, **parts})
        start = time.process_time()
        outcome = run(trial, stopping=stopping)
    except (TypeError, ValueError) as error:
        return {"error": str(error)}
    moments = [start, *moments, time.process_time()]
    if outcome.steps < trial.training.budget:
        return {"error": f"the trial {outcome.status} after {outcome.steps} updates {outcome.error}".rstrip()}
    return {"moments": moments}


def main(folder: str) -> None:
    """Answer every line of the standard input until it ends."""
    sys.path[0] = folder  # in place of the folder of this file
    from runs.trial.training import prepare_process

    prepare_process()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
