"""Mirrors trials and studies into MLflow, the window on what the storage records. The only module that imports mlflow.

A trial's run is written in one batch; a run that was cut off while being written is deleted and written again, so that each trial has
exactly one. Everything goes through `MlflowClient`; no global state of mlflow is touched.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .shell import without_password
from .trial import Outcome, Trial

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from .study import Study

SUMMARIES = "summaries"
SINGLE_TRIALS = "trials"
_SUMMARY_METRICS = ("steps", "solved_step", "best_step", "validation_loss", "test_loss", "score", "parameters", "flops_per_step", "seconds")


def default_uri(results: Path) -> str:
    """The SQLite database in the results folder."""
    return f"sqlite:///{Path(results).resolve() / 'mlflow.db'}"


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
        import logging

        from mlflow import MlflowClient

        for name in ("alembic", "mlflow"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.results = Path(results)
        self.uri = uri or default_uri(self.results)
        self.client: MlflowClient = MlflowClient(tracking_uri=self.uri)
        self._experiments: dict[str, str] = {}

    def experiment(self, name: str) -> str:
        """The id of an experiment, created where absent."""
        if name not in self._experiments:
            found = self.client.get_experiment_by_name(name)
            if found is None:
                place = None if self.uri.startswith("http") else (self.results.resolve() / "mlartifacts" / name).as_uri()
                tags = {"mlflow.experimentKind": "custom_model_development"}  # the dashboard then opens runs, not traces
                self._experiments[name] = self.client.create_experiment(name, artifact_location=place, tags=tags)
            else:
                self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def mirrored(self, study: str, key: str = "") -> set[tuple[str, str, int]]:
        """(task, variant, point) of the trials that have a complete run; runs that were cut off are deleted.

        key: of a stage, for (task, variant, number) of its trials; empty for the search.
        """
        from mlflow.entities import ViewType

        done: set[tuple[str, str, int]] = set()
        token: str | None = None
        while True:
            page = self.client.search_runs([self.experiment(study)], run_view_type=ViewType.ACTIVE_ONLY, max_results=1000, page_token=token)
            for run in page:
                tags = run.data.tags
                if tags.get("key", study) != (key or study):
                    continue
                place = (tags.get("task", ""), tags.get("variant", ""), int(tags.get("number", tags.get("point", -1))))
                if run.info.status == "RUNNING" or place in done:
                    self.client.delete_run(run.info.run_id)
                else:
                    done.add(place)
            token = page.token
            if not token:
                return done

    def trial(self, experiment: str, trial: Trial, outcome: Outcome, tags: Mapping[str, Any], params: Mapping[str, Any]) -> str:
        """Write one trial as one finished run; returns the run's id.

        tags: beside task, variant, engine, status and trial_id. params: beside the trial's own configuration.
        """
        labels = {"task": trial.task["label"], "variant": trial.variant["label"]}
        all_tags = {**labels, "engine": outcome.engine, "status": outcome.status, "trial_id": trial.id, **tags}
        if outcome.error:
            all_tags["error"] = outcome.error[:5000]
        if outcome.why_eager:
            all_tags["why_eager"] = outcome.why_eager[:5000]
        flat = dict(_flat(trial.as_dict())) | dict(params)
        summary = {n: v for n in _SUMMARY_METRICS if (v := getattr(outcome, n)) is not None}
        summary |= {f"test_{k}": v for k, v in outcome.test_metrics.items()}
        train = [(s, v) for s, v in zip(outcome.curve_steps, outcome.train_losses, strict=True) if v is not None]
        curves = {"curve_validation_loss": list(zip(outcome.curve_steps, outcome.curve_losses, strict=True)), "curve_train_loss": train}
        where = [str(tags[k]) for k in ("stage", "number") if tags.get("stage", "search") != "search"] or [str(tags.get("point", ""))]
        return self._write(experiment, " ".join([labels["task"], labels["variant"], *where]).strip(), all_tags, flat, summary, curves)

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
        return self._write(SUMMARIES, shown or name, {**tags, "summary_of": name}, params, finite, {}, artifacts)

    def _write(
        self,
        experiment: str,
        name: str,
        tags: Mapping[str, Any],
        params: Mapping[str, Any],
        summary: Mapping[str, float],
        curves: Mapping[str, Sequence[tuple[int, float]]],
        artifacts: Iterable[Path] = (),
    ) -> str:
        from mlflow.entities import Metric, Param

        # The dashboard shows how long a trial took, not how long it took to write.
        now = int(time.time() * 1000)
        begun = now - int(1000 * summary.get("seconds", 0.0))
        run_tags = {k: str(v) for k, v in tags.items()}
        run = self.client.create_run(self.experiment(experiment), start_time=begun, tags=run_tags, run_name=name)
        metrics = [Metric(k, float(v), now, 0) for k, v in summary.items()]
        metrics += [Metric(k, float(v), now, step) for k, points in curves.items() for step, v in points]
        parameters = [Param(k, str(v)[:6000]) for k, v in params.items()]
        assert len(metrics) <= 1000, "more than one batch of metrics"
        assert len(parameters) <= 100, "more than one batch of params"
        self.client.log_batch(run.info.run_id, metrics=metrics, params=parameters)
        for path in artifacts:
            self.client.log_artifact(run.info.run_id, str(path), "figures" if path.suffix in (".png", ".svg", ".pdf") else None)
        self.client.set_terminated(run.info.run_id, end_time=max(now, begun))
        return str(run.info.run_id)


class Mirror:
    """Copies the told trials of a study to MLflow, each once, whoever else does so on this machine at the same time.

    results: the results folder, where a lock is kept. uri: of MLflow, empty for SQLite in `results`.
    Where MLflow is out of reach the trials wait in the storage of the study for the next call.
    """

    def __init__(self, study: Study, results: Path, uri: str = "") -> None:
        self.study, self.results, self.uri = study, Path(results), uri
        self.tracker: Tracker | None = None
        self.done: set[tuple[str, str, int]] = set()
        self.written, self.seconds = 0, 0.0  # runs that this mirror has written, and the time that took
        self._generation: int | None = None
        self._silent_until = 0.0

    def reach(self) -> bool:
        """Whether MLflow answers; creates its database and the experiment."""
        try:
            if self.tracker is None:
                tracker = Tracker(self.results, self.uri)
                tracker.experiment(self.study.design.name)
                self.tracker = tracker
        except Exception:  # whatever a client raises for a server that is away
            return False
        return True

    def catch_up(self, patient: bool = False, seconds: float = math.inf) -> int:
        """Write every told trial that has no run yet; returns how many. After a failure it rests for ten seconds.

        patient: wait for another process that is writing, and raise what goes wrong instead of trying again later.
        seconds: begin no further run after this time; the next call goes on.
        """
        begun = time.monotonic()
        if not patient and begun < self._silent_until:
            return 0
        written = 0
        try:
            with self._lock(patient) as held:
                if held is None:
                    return 0
                if self.tracker is None:
                    self.tracker = Tracker(self.results, self.uri)
                if self._generation is None or self._generation != held.generation:
                    self.done = self.tracker.mirrored(self.study.design.name, self.study.design.key)
                for task, variant, stored in self.study.told():
                    point = stored.user_attrs["point"]
                    if (task, variant, point) in self.done:
                        continue
                    if time.monotonic() - begun > seconds:
                        break
                    held.generation += 1
                    held.save()
                    writing = time.monotonic()
                    self._write(self.tracker, task, variant, point, stored)
                    self.seconds += time.monotonic() - writing
                    self.done.add((task, variant, point))
                    written += 1
                self._generation = held.generation
        except Exception as error:  # the study must not stop because the dashboard did
            if patient:
                raise
            self._generation, self._silent_until = None, time.monotonic() + 10.0
            print(f"mlflow: {type(error).__name__}; the study goes on and MLflow catches up later", file=sys.stderr)
        finally:
            self.written += written
        return written

    def _write(self, tracker: Tracker, task: str, variant: str, k: int, stored: Any) -> None:
        design = self.study.design
        trial = design.trial(task, variant, k, stored.params)
        outcome = Outcome.from_dict(stored.user_attrs["outcome"])
        tags = {"study": design.name, "point": design.point_of(task, variant, k), "commit": self.study.facts_of(stored).get("commit", "")}
        tags |= {"stage": design.stage}
        if design.stage != "search":
            tags |= design.place(task, k) | {"key": design.key, "number": k}
        tracker.trial(design.name, trial, outcome, tags, stored.params)

    @contextmanager
    def _lock(self, patient: bool) -> Iterator[_Held | None]:
        folder = self.results / self.study.design.name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "mirror.lock").open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if patient else fcntl.LOCK_NB))
            except BlockingIOError:
                yield None
                return
            yield _Held(handle)


class _Held:
    """The lock of a mirror while it is held. generation: a count that says whether anybody else has written since."""

    def __init__(self, handle: IO[str]) -> None:
        self._handle = handle
        handle.seek(0)
        self.generation = int(handle.read() or 0)

    def save(self) -> None:
        self._handle.seek(0)
        self._handle.truncate()
        self._handle.write(str(self.generation))
        self._handle.flush()


def publish(
    results: Path,
    design: Mapping[str, Any],
    overall: Mapping[str, float],
    cells: Iterable[tuple[str, str, Mapping[str, float]]],
    artifacts: Sequence[Path],
    uri: str = "",
) -> str:
    """Write the summary runs of a study: one for it with its figures, tables and report, one for each (task, variant).

    design: of the study, with the facts stored beside it. overall: metrics of the study. cells: (task, variant, metrics).
    uri: of MLflow, where it is not the one the study was run with. Returns the place written to, without a password.
    """
    name = str(design["name"])
    tracker = Tracker(results, uri or (u if (u := str(design.get("tracking_uri", ""))) != default_uri(results) else ""))
    params = {k: design[k] for k in ("baseline", "points", "match", "seed")}
    tags = {"study": name, "commit": design.get("commit", ""), "kind": "study"}
    tracker.summary(name, tags, params, overall, artifacts)
    for task, variant, metrics in cells:
        own = {**tags, "kind": "cell", "task": task, "variant": variant}
        tracker.summary(f"{name}/{task}/{variant}", own, params, metrics, shown=f"{variant} {task} {name}")  # the dashboard cuts off ends
    return without_password(tracker.uri)


def _flat(node: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in node.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}".replace("_target_", "target"), json.dumps(value) if isinstance(value, list | tuple) else value))
    return pairs


def main(arguments: list[str]) -> int:
    """`python -m runs.tracking study=quick`: write to MLflow what it does not have yet; returns the exit code."""
    from .shell import key_values, storage_url, tracking_uri
    from .study import Study, open_storage

    keys = {
        "study": "name of the study",
        "results": "folder of all studies (results)",
        "storage": "postgres (URL in STUDY_STORAGE) or a URL, where it is not the journal in the study's folder",
        "tracking": "server (URI in MLFLOW_TRACKING_URI) or a URI, where it is not the one that the study was tracked with",
    }
    try:
        values = key_values(arguments, keys, main.__doc__ or "")
        if values is None:
            return 0
        if "study" not in values:
            raise ValueError("say which study: study=...")
        results = Path(values.get("results", "results"))
        folder = results / values["study"]
        url = storage_url(values)
        if not url and not (folder / "journal.log").exists():
            raise ValueError(f"study {values['study']!r} has not been started in {results}")
        storage = open_storage(url, folder)
        try:
            study = Study.open(storage, values["study"])
        except KeyError:
            raise ValueError(f"study {values['study']!r} is not in its storage") from None
        uri = tracking_uri(values, str(study.facts.get("tracking_uri", "")))
        written = there = 0
        for each in (study, *Study.stages(storage, values["study"])):
            mirror = Mirror(each, results, "" if uri == default_uri(results) else uri)
            written += mirror.catch_up(patient=True)
            there += len(mirror.done)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Exception as error:  # whatever a client raises for a server that is away
        print(f"error: mlflow: {without_password(uri)} is out of reach: {type(error).__name__}", file=sys.stderr)
        return 1
    print(f"{written} trials written, {there} in all, to experiment {study.design.name!r} in {without_password(uri)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
