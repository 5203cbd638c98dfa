"""Mirrors trials and studies into MLflow, the window on what the storage records. The only module that imports mlflow.

A trial's run is written in one batch and says which study and which trial it is of. A run that was cut off while being
written, or that is of another study or trial in the same place, is deleted and written again, so that each trial has
exactly one. Everything goes through `MlflowClient`; no global state of mlflow is touched.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import shlex
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from ..arguments import command
from ..secrets_in_urls import without_password
from ..study.design import Design, flat
from ..trial.trial import Outcome, Trial
from . import pages
from .pages import NOTE, SINGLE_TRIALS, SUMMARIES
from .places import DEFAULT, default_uri
from .rows import COLUMNS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Dataset
    from mlflow.entities import Run as MlflowRun

__all__ = ["SINGLE_TRIALS", "SUMMARIES", "Locked", "Published", "Run", "Tracker", "Unusable", "publish"]

LOCK_SECONDS = 1.0  # waited for another program that holds the SQLite file, before the mirror rests
ANSWER_SECONDS = 2.0  # waited for a server that did not answer before
DASHBOARD = "http://127.0.0.1:5000"  # of `make dashboard`
METRICS = [c.name for c in COLUMNS if c.mlflow.startswith("metrics.")]


class Run(NamedTuple):
    """A run in MLflow: its id there, the id of the trial that it is of, and the number of its record in the storage.

    Runs of earlier versions have no number of a record; a trial that failed and was run again has another record.
    """

    id: str
    trial: str
    record: str = ""


class Unusable(ConnectionError):
    """The SQLite file of MLflow cannot be used; the message says why."""


class Locked(Unusable):
    """The SQLite file of MLflow is held by another program."""


class Tracker:
    """Writes trials and summaries of one results folder to MLflow.

    results: receives artifacts where the server keeps none. uri: database or server, empty for SQLite in `results`.
    Creating one creates the database: do it in the parent before anything else opens it.
    """

    def __init__(self, results: Path, uri: str = "") -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        # A server that is away is asked again by the mirror, not by every request for minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        self.results = Path(results)
        self.uri = default_uri(self.results) if uri in ("", DEFAULT) else uri
        self.refuse_lock()
        import logging

        from mlflow import MlflowClient

        # What goes wrong is raised as well; MLflow would also print its traceback.
        for name, level in (
            ("alembic", logging.WARNING),
            ("mlflow", logging.WARNING),
            ("mlflow.store.db.utils", logging.CRITICAL),
        ):
            logging.getLogger(name).setLevel(level)
        self.client: MlflowClient = MlflowClient(tracking_uri=self.uri)
        self._experiments: dict[str, str] = {}
        self._notes: dict[str, str] = {}  # their descriptions
        self._datasets: dict[str, Dataset] = {}  # by the task and its knobs
        self.replaced = 0  # runs of other studies of the same name that were deleted

    def refuse_lock(self) -> None:
        """Raise Unusable where the SQLite file is damaged, and Locked where another program holds it: MLflow would wait
        for 20 seconds.
        """
        path = Path(self.uri.removeprefix("sqlite:///"))
        if not self.uri.startswith("sqlite:///") or not path.is_file():
            return
        try:
            with closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as database:
                database.execute("SELECT count(*) FROM sqlite_master")
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            raise Locked(f"{path}: {error}") from None
        except sqlite3.DatabaseError as error:
            raise Unusable(
                f"{path} is damaged ({error}); move it away; python -m runs.tracking writes it again from each study"
            ) from None

    def refuse_silence(self) -> None:
        """Raise where a server does not answer within two seconds; a request of MLflow's waits for 20."""
        if not self.uri.startswith("http"):
            return
        place = urlsplit(self.uri)
        host = place.netloc.rpartition("@")[2]
        try:
            urlopen(f"{place.scheme}://{host}/health", timeout=ANSWER_SECONDS).close()
        except HTTPError as error:  # an answer, too: of a server that wants a password
            error.close()

    def experiment(self, name: str) -> str:
        """Return the id of an experiment, created where absent; one of an earlier version gets the tags of this one."""
        if name not in self._experiments:
            found = self.client.get_experiment_by_name(name)
            place = None if self.uri.startswith("http") else (self.results.resolve() / "mlartifacts" / name).as_uri()
            tags = pages.KIND | {"mlflow.user": _user()} | pages.views(name)
            if found is None:
                self._experiments[name] = self.client.create_experiment(name, artifact_location=place, tags=tags)
                self._notes[name] = ""
            else:
                if found.lifecycle_stage == "deleted":
                    self.client.restore_experiment(found.experiment_id)
                if self.uri == default_uri(self.results) and place != found.artifact_location:
                    self._move_artifacts(found.experiment_id, str(found.artifact_location), str(place))
                for key in sorted(tags.keys() - found.tags.keys()):  # a view that somebody has changed stays
                    self.client.set_experiment_tag(found.experiment_id, key, tags[key])
                self._experiments[name], self._notes[name] = found.experiment_id, found.tags.get(NOTE, "")
            if not self._notes[name] or name in (SUMMARIES, SINGLE_TRIALS):
                self.describe(name, pages.about(name, self._experiments[name]))
        return self._experiments[name]

    def describe(self, name: str, note: str) -> None:
        """Set the description of an experiment, unless it has one that somebody else has written."""
        experiment = self.experiment(name)
        if self._notes[name] != note and pages.is_ours(self._notes[name]):
            self.client.set_experiment_tag(experiment, NOTE, note)
            self._notes[name] = note

    def describe_study(self, design: Design) -> None:
        """Let the experiment of a study say what it asks, what is in it, and where its report is."""
        self.describe(design.name, pages.about_study(design, self.experiment(design.name), self.results))

    def _move_artifacts(self, experiment: str, old: str, new: str) -> None:
        """Let an experiment keep its files in this results folder, which was copied or moved; MLflow stores absolute
        paths.
        """
        with closing(sqlite3.connect(self.uri.removeprefix("sqlite:///"), timeout=LOCK_SECONDS)) as database, database:
            database.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (new, experiment))
            database.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
                "WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
                (new, len(old) + 1, experiment, len(old) + 1, f"{old}/"),
            )

    def link(self, name: str) -> str:
        """Return where a browser finds the runs of an experiment, with the columns that matter."""
        server = self.uri if self.uri.startswith("http") else DASHBOARD
        shown = without_password(server).split("?")[0].replace("***@", "").rstrip("/")
        page = f"{shown}/{pages.address(self.experiment(name))}"
        if server == self.uri:
            return page
        if self.uri == default_uri(self.results):
            usual = self.uri == default_uri(Path("results"))
            return f"{page} ({'make dashboard' if usual else command('runs.dashboard', results=self.results)})"
        return f"{page} ({shlex.join(['mlflow', 'server', '--backend-store-uri', without_password(self.uri)])})"

    def mirrored(self, study: str, key: str = "", study_id: str = "") -> dict[tuple[str, str, int], Run]:
        """Return the complete runs of a study's trials, by (task, variant, point); delete incomplete ones.

        key: of a stage, for (task, variant, number) of its trials; empty for the search.
        study_id: made when the study was created, so that a new study of the same name has another one.

        Runs that were cut off or are of another study are deleted. Runs that are not of a trial are left alone.
        """
        done: dict[tuple[str, str, int], Run] = {}
        before = self.replaced
        for run in list(self._runs(study)):
            tags = run.data.tags
            if "task" not in tags or "variant" not in tags:
                continue
            if tags.get("study_id", "") != study_id and run.info.status != "RUNNING":
                self.client.delete_run(run.info.run_id)
                self.replaced += 1
                continue
            if tags.get("key", study) != (key or study):
                continue
            place = (tags["task"], tags["variant"], int(tags.get("number", tags.get("point", -1))))
            if run.info.status == "RUNNING" or place in done:
                self.client.delete_run(run.info.run_id)
            else:
                done[place] = Run(run.info.run_id, tags.get("trial_id", ""), tags.get("record", ""))
        if self.replaced > before:
            for run in list(self._runs(SUMMARIES)):
                if run.data.tags.get("study") == study and run.data.tags.get("study_id", "") != study_id:
                    self.client.delete_run(run.info.run_id)
        return done

    def _runs(self, experiment: str) -> Iterator[Any]:
        from mlflow.entities import ViewType

        token: str | None = None
        while True:
            page = self.client.search_runs(
                [self.experiment(experiment)], run_view_type=ViewType.ACTIVE_ONLY, max_results=1000, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def trial(
        self, experiment: str, trial: Trial, outcome: Outcome, tags: Mapping[str, Any], params: Mapping[str, Any]
    ) -> str:
        """Write one trial as one finished run; returns the run's id.

        tags: beside task, variant, engine, status and trial_id. params: beside the trial's own configuration.
        """
        labels = {"task": trial.task["label"], "variant": trial.variant["label"]}
        all_tags = {**labels, "engine": outcome.engine, "status": outcome.status, "trial_id": trial.id, **tags}
        ends = {"solved": f"solved at step {outcome.solved_step}", "failed": f"failed: {outcome.error[:1000]}"}
        end = ends.get(outcome.status, f"{outcome.status} at step {outcome.steps}")
        all_tags |= _note(f"{labels['variant']} on {labels['task']}: {end}")
        if outcome.error:
            all_tags["error"] = outcome.error[:5000]
        reasons = {"why_eager": outcome.why_eager, "why_autograd": outcome.why_autograd, "update": outcome.update}
        all_tags |= {name: text[:5000] for name, text in reasons.items() if text}
        all_params = {key.replace("_target_", "target"): value for key, value in flat(trial.as_dict()).items()}
        all_params["training.budget"] = outcome.budget or trial.training.updates  # also where epochs decide
        all_params = {k: json.dumps(v) if isinstance(v, list) else v for k, v in all_params.items()} | dict(params)
        summary = {n: v for n in METRICS if (v := getattr(outcome, n)) is not None}
        summary |= {f"test_{k}": v for k, v in outcome.test_metrics.items()}
        train = [(s, v) for s, v in zip(outcome.curve_steps, outcome.train_losses, strict=True) if v is not None]
        curves = {
            "curve_validation_loss": list(zip(outcome.curve_steps, outcome.curve_losses, strict=True)),
            "curve_train_loss": train,
        }
        place: tuple[object, ...] = ()
        if "point" in tags:
            place = ("point", tags["point"])
        if tags.get("stage", "search") != "search":
            place = (tags["stage"], tags["number"])
        name = " ".join(map(str, (labels["task"], labels["variant"], *place)))
        run = self._begin(experiment, name, all_tags, summary)
        self._fill(run, all_params, summary, curves)
        self._use(run, trial.task)
        return self._end(run, failed=outcome.status == "failed")

    def summary(
        self,
        name: str,
        tags: Mapping[str, Any],
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        artifacts: Iterable[Path] = (),
        shown: str = "",
    ) -> str:
        """Write or replace the summary run of a name, with its files; returns the run's id.

        shown: the name in the dashboard, where it is another.
        """
        experiment = self.experiment(SUMMARIES)
        for run in self.client.search_runs([experiment], filter_string=f"tags.summary_of = '{name}'"):
            self.client.delete_run(run.info.run_id)
        finite = {k: v for k, v in metrics.items() if v == v}
        run = self._begin(SUMMARIES, shown or name, {**tags, "summary_of": name}, finite)
        self._fill(run, params, finite, {})
        for path in artifacts:
            figure = path.suffix in (".png", ".svg", ".pdf")
            self.client.log_artifact(run.info.run_id, str(path), "figures" if figure else None)
        return self._end(run)

    def _begin(self, experiment: str, name: str, tags: Mapping[str, Any], summary: Mapping[str, float]) -> MlflowRun:
        """Begin a run at the time at which its trial began: the dashboard shows how long that took, not the writing."""
        begun = int(time.time() * 1000) - int(1000 * summary.get("seconds", 0.0))
        run_tags = {"mlflow.user": _user(), "mlflow.source.type": "LOCAL"} | {k: str(v) for k, v in tags.items()}
        if tags.get("commit"):
            run_tags["mlflow.source.git.commit"] = str(tags["commit"])
        return self.client.create_run(self.experiment(experiment), start_time=begun, tags=run_tags, run_name=name)

    def _fill(
        self,
        run: MlflowRun,
        params: Mapping[str, Any],
        summary: Mapping[str, float],
        curves: Mapping[str, Sequence[tuple[int, float]]],
    ) -> None:
        """Write all values of a run in one batch."""
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        metrics = [Metric(k, float(v), now, 0) for k, v in summary.items()]
        metrics += [Metric(k, float(v), now, step) for k, points in curves.items() for step, v in points]
        parameters = [Param(k, str(v)[:6000]) for k, v in params.items()]
        assert len(metrics) <= 1000, "more than one batch of metrics"
        assert len(parameters) <= 100, "more than one batch of params"
        self.client.log_batch(run.info.run_id, metrics=metrics, params=parameters)

    def _use(self, run: MlflowRun, task: Mapping[str, Any]) -> None:
        """Name the task of a run, with its knobs, as its dataset."""
        from mlflow.entities import Dataset, DatasetInput

        knobs = json.dumps({key.replace("_target_", "target"): value for key, value in flat(task).items()})
        if knobs not in self._datasets:
            digest = hashlib.sha256(knobs.encode()).hexdigest()[:8]
            self._datasets[knobs] = Dataset(task["label"], digest, "code", knobs, profile=knobs)
        self.client.log_inputs(run.info.run_id, datasets=[DatasetInput(self._datasets[knobs])])

    def _end(self, run: MlflowRun, failed: bool = False) -> str:
        """End a run; returns its id."""
        end = max(int(time.time() * 1000), run.info.start_time)
        self.client.set_terminated(run.info.run_id, "FAILED" if failed else "FINISHED", end_time=end)
        return str(run.info.run_id)


class Published(NamedTuple):
    """Where the summary of a study is in MLflow: the database or server without a password, and two pages.

    summaries: the page of the summaries. trials: the page of the study's runs.
    """

    place: str
    summaries: str
    trials: str


def publish(
    results: Path,
    design: Design,
    about: Mapping[str, Any],
    overall: Mapping[str, float],
    pairs: Iterable[tuple[str, str, Mapping[str, float]]],
    artifacts: Sequence[Path],
    uri: str,
) -> Published:
    """Write the summary runs of a study: one of the whole study, and one for each pair of a task and a variant.

    results: the results folder.
    design: of the study. about: the facts that are stored with it.
    overall: metrics of the study. pairs: (task, variant, metrics).
    artifacts: figures, tables and report, which the run of the study receives.
    uri: of MLflow, see `uri_of`.
    Returns where they are.
    """
    name, tracker = design.name, Tracker(results, uri)
    params = {"baseline": design.baseline, "points": design.points, "match": design.match, "seed": design.seed}
    tags = {"study": name, "study_id": about.get("study_id", ""), "commit": about.get("commit", ""), "kind": "study"}
    tags |= {"mlflow.source.name": command("analysis", study=name)}
    tracker.summary(name, tags, params, overall, artifacts)
    for task, variant, metrics in pairs:
        own = {**tags, "kind": "cell", "task": task, "variant": variant}
        # the dashboard cuts off ends
        tracker.summary(f"{name}/{task}/{variant}", own, params, metrics, shown=f"{variant} {task} {name}")
    tracker.describe_study(design)
    return Published(without_password(tracker.uri), tracker.link(SUMMARIES), tracker.link(name))


def _note(text: str) -> dict[str, str]:
    return {NOTE: text}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user id without a name, in a container; or Windows
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
