"""Mirrors trials and studies into MLflow, the window on what the storage records. The only module that imports mlflow.

A trial's run is written in one batch; a run that was cut off while being written is deleted and written again, so that each trial has
exactly one. Everything goes through `MlflowClient`; no global state of mlflow is touched.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from .trial import Outcome, Trial

if TYPE_CHECKING:
    from mlflow import MlflowClient

SUMMARIES = "summaries"
SINGLE_TRIALS = "trials"
_SUMMARY_METRICS = ("steps", "solved_step", "best_step", "validation_loss", "test_loss", "score", "parameters", "flops_per_step", "seconds")


def default_uri(results: Path) -> str:
    """The SQLite database in the results folder."""
    return f"sqlite:///{Path(results).resolve() / 'mlflow.db'}"


def without_password(uri: str) -> str:
    """A URI that may be shown: its password replaced by ***."""
    parts = urlsplit(uri)
    if not parts.password:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))


class Tracker:
    """Writes trials and summaries of one results folder to MLflow.

    results: receives artifacts where the server keeps none. uri: database or server, empty for SQLite in `results`.
    Creating one creates the database: do it in the parent before anything else opens it.
    """

    def __init__(self, results: Path, uri: str = "") -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
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
                self._experiments[name] = self.client.create_experiment(name, artifact_location=place)
            else:
                self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def mirrored(self, study: str) -> set[tuple[str, str, int]]:
        """(task, variant, point) of the trials that have a complete run; runs that were cut off are deleted."""
        from mlflow.entities import ViewType

        done: set[tuple[str, str, int]] = set()
        token: str | None = None
        while True:
            page = self.client.search_runs([self.experiment(study)], run_view_type=ViewType.ACTIVE_ONLY, max_results=1000, page_token=token)
            for run in page:
                tags = run.data.tags
                key = (tags.get("task", ""), tags.get("variant", ""), int(tags.get("point", -1)))
                if run.info.status == "RUNNING" or key in done:
                    self.client.delete_run(run.info.run_id)
                else:
                    done.add(key)
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
        flat = dict(_flat(trial.as_dict())) | dict(params)
        summary = {n: v for n in _SUMMARY_METRICS if (v := getattr(outcome, n)) is not None}
        summary |= {f"test_{k}": v for k, v in outcome.test_metrics.items()}
        train = [(s, v) for s, v in zip(outcome.curve_steps, outcome.train_losses, strict=True) if v is not None]
        curves = {"curve_validation_loss": list(zip(outcome.curve_steps, outcome.curve_losses, strict=True)), "curve_train_loss": train}
        where = "" if "point" not in tags else f" {tags['point']}"
        return self._write(experiment, f"{labels['task']} {labels['variant']}{where}", all_tags, flat, summary, curves)

    def summary(
        self, name: str, tags: Mapping[str, Any], params: Mapping[str, Any], metrics: Mapping[str, float], artifacts: Iterable[Path] = ()
    ) -> str:
        """Write or replace the summary run of a name, with its files; returns the run's id."""
        experiment = self.experiment(SUMMARIES)
        for run in self.client.search_runs([experiment], filter_string=f"tags.summary_of = '{name}'"):
            self.client.delete_run(run.info.run_id)
        finite = {k: v for k, v in metrics.items() if v == v}
        return self._write(SUMMARIES, name, {**tags, "summary_of": name}, params, finite, {}, artifacts)

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

        now = int(time.time() * 1000)
        run_tags = {k: str(v) for k, v in tags.items()}
        run = self.client.create_run(self.experiment(experiment), tags=run_tags, run_name=name)
        metrics = [Metric(k, float(v), now, 0) for k, v in summary.items()]
        metrics += [Metric(k, float(v), now, step) for k, points in curves.items() for step, v in points]
        parameters = [Param(k, str(v)[:6000]) for k, v in params.items()]
        assert len(metrics) <= 1000, "more than one batch of metrics"
        assert len(parameters) <= 100, "more than one batch of params"
        self.client.log_batch(run.info.run_id, metrics=metrics, params=parameters)
        for path in artifacts:
            self.client.log_artifact(run.info.run_id, str(path), "figures" if path.suffix in (".png", ".svg", ".pdf") else None)
        self.client.set_terminated(run.info.run_id)
        return str(run.info.run_id)


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
        tracker.summary(f"{name}/{task}/{variant}", {**tags, "kind": "cell", "task": task, "variant": variant}, params, metrics)
    return without_password(tracker.uri)


def _flat(node: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in node.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}".replace("_target_", "target"), json.dumps(value) if isinstance(value, list | tuple) else value))
    return pairs
