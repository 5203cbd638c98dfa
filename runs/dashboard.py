"""`python -m runs.dashboard`: MLflow in the browser, on the trials of all studies in the results folder."""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from .arguments import command, key_values
from .console.start import end_quickly
from .console.text import complain
from .names import checked_name
from .record.places import default_uri

KEYS = {
    "results": "folder of all studies. Default: results.",
    "port": "on which the browser finds it. Default: 5000.",
    "optuna": "name of a study, to see it in Optuna's dashboard instead; needs the extra `dashboard`. Default: MLflow.",
}
HOST = "127.0.0.1"


def main(arguments: list[str]) -> int:
    """Run the command until it is interrupted; returns the exit code."""
    try:
        values = key_values(arguments, KEYS, __doc__ or "")
        if values is None:
            return 0
        results = Path(values.get("results", "results"))
        port = free_port(values.get("port", "5000"))
        if "optuna" in values:
            become_optuna(journal_of(results, values["optuna"]), port)
        experiments = tracked(results)
    except ValueError as error:
        complain(error)
        return 2
    serve(results, port, experiments)
    return 0


def free_port(text: str) -> int:
    """Return the number of a port on which nobody listens.

    Raises ValueError where it is no number of a port, or somebody listens.
    """
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ValueError(f"port must be a number from 1 to 65535, got {text!r}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(text)))
        except OSError as error:
            other = "port=N gives another, with make PORT=N or OPTUNA_PORT=N"
            raise ValueError(f"port {text} cannot be used ({error.strerror}): {other}") from None
    return int(text)


def tracked(results: Path) -> dict[str, str]:
    """Return the experiments with runs that the results folder has in MLflow: name to id, the newest last.

    Raises ValueError where there is none.
    """
    path = results / "mlflow.db"
    study = command("runs.sweep", study="quick", results=results)
    nothing = f"{path}: no trial is in MLflow yet: run a study, as with {study}"
    if not path.is_file():
        raise ValueError(nothing)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute(
                "SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = 'active' AND experiment_id IN "
                "(SELECT experiment_id FROM runs WHERE lifecycle_stage = 'active') ORDER BY experiment_id"
            ).fetchall()
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path}: {error}") from None
    if not found:
        raise ValueError(nothing)
    return {str(name): str(experiment) for name, experiment in found}


def journal_of(results: Path, study: str) -> Path:
    """Return the journal of a study. Raises ValueError where there is none."""
    path = results / checked_name(study, "study") / "journal.log"
    if not path.is_file():
        started = command("runs.sweep", study=study, results=results)
        raise ValueError(f"{path}: there is no such study with a journal: start it, as with {started}")
    return path


def become_optuna(journal: Path, port: int) -> NoReturn:
    """Let Optuna's dashboard take the place of this process. Raises ValueError where it is not installed."""
    program = Path(sys.executable).with_name("optuna-dashboard")
    if not program.is_file():
        raise ValueError("optuna-dashboard is not installed: make optuna-dashboard installs it")
    print(f"{journal}: http://{HOST}:{port}/dashboard", flush=True)
    os.execv(program, [str(program), "--host", HOST, "--port", str(port), str(journal)])


def serve(results: Path, port: int, experiments: dict[str, str]) -> None:
    """Print the pages of the studies and serve them until the process is interrupted."""
    from .record.dashboard import Unfamiliar, application
    from .record.pages import address
    from .record.tracking import Locked, Tracker

    with suppress(Locked):  # a study is writing
        tracker = Tracker(results)
        for name in experiments:
            tracker.experiment(name)  # those of earlier versions get their views
    for name in experiments:
        print(f"{name}: http://{HOST}:{port}/{address(experiments[name])}")
    print(f"all: http://{HOST}:{port}/#/experiments", flush=True)
    uri, artifacts = default_uri(results), results.resolve() / "mlartifacts"
    try:
        served = application(uri, artifacts)
    except Unfamiliar as error:
        become_plain(str(error), uri, artifacts, port)
    import uvicorn

    uvicorn.run(served, host=HOST, port=port, log_level="warning")


def become_plain(missing: str, uri: str, artifacts: Path, port: int) -> NoReturn:
    """Let MLflow's own server take the place of this process; says what is missing in it, and why."""
    said = (
        f"MLflow {version('mlflow')} ({missing}) opens a study in its list on traces; the addresses above show its runs"
    )
    print(f"note: {said}", file=sys.stderr, flush=True)
    places = ["--backend-store-uri", uri, "--default-artifact-root", str(artifacts)]
    options = ["--host", HOST, "--port", str(port), "--workers", "1", *places]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "server", *options])


if __name__ == "__main__":
    end_quickly()
    sys.exit(main(sys.argv[1:]))
