"""Optuna's storage in a database, with several writes in one transaction.

Optuna's own (5.0) opens a transaction for each value, some 25 for a trial with a curve of 20, and planning asks several
questions for each row that it writes. This file knows Optuna's tables; Optuna itself refuses a database whose tables
are of another version.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from ...locks import NOTICE_SECONDS, LockHeld
from .contract import INDEX, Ending, Storage

AT_ONCE = 500  # numbers of trials in one statement


class Database(RDBStorage, Storage):
    """Optuna's storage in a database, whose tables are created where absent."""

    def add(self, trials: Iterable[tuple[int, FrozenTrial]]) -> None:
        """Create trials in one transaction and without a query for each."""
        from optuna.storages._rdb import models
        from sqlalchemy import func, insert, select

        by_study: dict[int, list[FrozenTrial]] = defaultdict(list)
        for study, template in trials:
            by_study[study].append(template)
        with self.scoped_session() as session, session.begin():
            for study, templates in sorted(by_study.items()):
                # numbers are counted: one at a time
                models.StudyModel.find_or_raise_by_id(study, session, for_update=True)
                past = session.scalar(select(func.count()).where(models.TrialModel.study_id == study)) or 0
                rows = [
                    {
                        "study_id": study,
                        "number": past + k,
                        "state": t.state,
                        "datetime_start": t.datetime_start,
                        "datetime_complete": t.datetime_complete,
                    }
                    for k, t in enumerate(templates)
                ]
                made = insert(models.TrialModel).returning(models.TrialModel.trial_id, sort_by_parameter_order=True)
                numbered = list(zip(session.scalars(made, rows).all(), templates, strict=True))
                params = [
                    {
                        "trial_id": number,
                        "param_name": name,
                        "param_value": template.distributions[name].to_internal_repr(value),
                        "distribution_json": distribution_to_json(template.distributions[name]),
                    }
                    for number, template in numbered
                    for name, value in template.params.items()
                ]
                attributes = [
                    {"trial_id": number, "key": key, "value_json": json.dumps(value)}
                    for number, template in numbered
                    for key, value in template.user_attrs.items()
                ]
                _insert(session, models.TrialParamModel, params)
                _insert(session, models.TrialUserAttributeModel, attributes)
                ended = [(number, t) for number, t in numbered if t.state.is_finished()]
                curves = [(number, t.intermediate_values.items()) for number, t in ended]
                _insert_numbers(session, curves, [(number, t.values) for number, t in ended])

    def drop(self, numbers: Iterable[int]) -> None:
        """End trials without an outcome in one transaction; those that have ended already stay as they are."""
        from optuna.storages._rdb import models
        from sqlalchemy import update

        dropped, trial = list(numbers), models.TrialModel
        ended = {"state": TrialState.FAIL, "datetime_complete": datetime.now()}
        with self.scoped_session() as session, session.begin():
            for start in range(0, len(dropped), AT_ONCE):
                some = trial.trial_id.in_(dropped[start : start + AT_ONCE])
                unfinished = trial.state.in_([TrialState.WAITING, TrialState.RUNNING])
                session.execute(update(trial).where(some, unfinished).values(**ended))

    def finish(self, number: int, ending: Ending) -> None:
        """Write the end of a running trial in one transaction."""
        from optuna.storages._rdb import models

        with self.scoped_session() as session, session.begin():
            trial: Any = models.TrialModel.find_or_raise_by_id(number, session, for_update=True)
            self.check_trial_is_updatable(number, trial.state)
            texts = [
                {"trial_id": number, "key": key, "value_json": json.dumps(value)}
                for key, value in ending.attributes.items()
            ]
            _insert_numbers(session, [(number, ending.curve)], [(number, ending.values)])
            _insert(session, models.TrialUserAttributeModel, texts)
            trial.state, trial.datetime_complete = ending.state, datetime.now()

    @contextmanager
    def alone(self, key: str, seconds: float = 600.0) -> Iterator[None]:
        """Let one process at a time into the block, on whatever machine.

        In PostgreSQL only, whose server releases a lock when its connection is lost.

        key: of the study.
        Raises LockHeld where another process does not leave the block in time.
        """
        from sqlalchemy import text

        if self.engine.dialect.name != "postgresql":
            yield
            return
        number = int.from_bytes(hashlib.sha256(f"lstm-variants/{key}".encode()).digest()[:8], "big", signed=True)
        begun, said = time.monotonic(), False
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not connection.scalar(text("select pg_try_advisory_lock(:n)"), {"n": number}):
                waited = time.monotonic() - begun
                if waited > seconds:
                    raise LockHeld(f"study {key!r} has been locked by another process that plans it for {waited:.0f} s")
                if waited > NOTICE_SECONDS and not said:
                    said = True
                    print(f"waiting for another process that plans study {key!r}", file=sys.stderr, flush=True)
                time.sleep(0.05)
            try:
                yield
            finally:
                with suppress(Exception):  # a connection that is lost has no lock
                    connection.scalar(text("select pg_advisory_unlock(:n)"), {"n": number})

    def others(self, study: int, index: int, number: int) -> list[FrozenTrial]:
        """Return the trials of a study with the same index, except for one."""
        from optuna.storages._rdb import models
        from sqlalchemy import select

        trial, attribute = models.TrialModel, models.TrialUserAttributeModel
        found = select(trial.trial_id).join(attribute, attribute.trial_id == trial.trial_id)
        found = found.where(
            trial.study_id == study, attribute.key.in_(INDEX), attribute.value_json == json.dumps(index)
        )
        with self.scoped_session() as session:
            numbers = session.scalars(found.where(trial.trial_id != number)).all()
        return [self.get_trial(k) for k in numbers]


def _insert(session: Any, model: Any, rows: list[dict[str, Any]]) -> None:
    from sqlalchemy import insert

    if rows:
        session.execute(insert(model), rows)


def _insert_numbers(
    session: Any,
    curves: Iterable[tuple[int, Iterable[tuple[int, float]]]],
    values: Iterable[tuple[int, Iterable[float] | None]],
) -> None:
    """Insert the numbers of trials that have ended.

    curves: number of a trial in the storage to its steps and losses. values: the same to its objectives.
    """
    from optuna.storages._rdb import models

    steps, ends = [], []
    for number, curve in curves:
        for step, loss in curve:
            value, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(loss)
            steps.append(
                {"trial_id": number, "step": step, "intermediate_value": value, "intermediate_value_type": kind}
            )
    for number, objectives in values:
        for k, end in enumerate(objectives or ()):
            value, sort = models.TrialValueModel.value_to_stored_repr(end)
            ends.append({"trial_id": number, "objective": k, "value": value, "value_type": sort})
    _insert(session, models.TrialIntermediateValueModel, steps)
    _insert(session, models.TrialValueModel, ends)
