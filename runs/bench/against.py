"""Another checkout of this project beside this one: each runs trials in a process of its own, in turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ..trial.trial import Trial

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("worker.py")


def checkout(folder: Path) -> Path:
    """Return the absolute path of a checkout. Raises ValueError where the folder is none."""
    if not (folder / "runs" / "trial" / "training.py").is_file():
        raise ValueError(f"--against must be a checkout of this project, with runs/trial/training.py, got {folder}")
    return folder.resolve()


class Worker:
    """A process that runs trials with the code of a checkout.

    folder: of the checkout.

    It is a context: at its end the process ends.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        command = [sys.executable, str(SCRIPT), str(folder)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def moments(self, trial: Trial) -> list[float]:
        """Run a trial and return when it began, when each update began, and when it ended.

        Raises ValueError if the trial did not reach its last update there, or if the process ended.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(trial.as_dict()) + "\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ValueError(f"{self._folder}: the process that runs its trials ended")
        found = json.loads(line)
        if "error" in found:
            raise ValueError(f"{self._folder}: {found['error']}")
        return [float(moment) for moment in found["moments"]]
