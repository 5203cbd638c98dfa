"""A study in its storage, which is the record: plan it, take trials from it, finish them, read them.

One Optuna study for each pair of a task and a variant, named `<study>/<task>/<variant>`, holds its trials; one named
`<study>` holds the design. A trial waits until a worker claims it. The baseline's first points, the pilot, are claimed
first. The other trials are claimed in interleaved order, so that a study that is stopped at any time has as many of
each pair. A stage after the search is a study as well, named
`<study>/<stage>-<points>`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from tasks import Task

from ..record.facts import code, own_classes
from ..record.rows import Row, row_of
from ..rules import require
from ..trial.classes import NotAllowed, construct, ours
from ..trial.data import sized
from ..trial.evaluation import evaluation_grid
from ..trial.faults import Pruned
from ..trial.training import run
from ..trial.trial import Outcome, Training, Trial
from .claiming import Queue
from .design import Design, differences
from .part import WHOLE, Part
from .pilot import findings, pilot_points
from .plan import Plan, Search
from .samplers import distributions, propose, pruner_of, sampler_of, thinned
from .sessions import Facts
from .stages import Stage
from .storage.contract import Ending, Storage, index_of
from .storage.opening import patiently
from .trials import Arrival, Finished, Lease, Pair


class Study(Queue[Lease, Outcome]):
    """A planned study in a storage; `runs.study.claiming.Queue` says what its attributes are."""

    plan: Plan

    # Opening
    # -------------------------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        storage: Storage,
        plan: Plan,
        facts: Facts,
        arrive: Callable[[Study], object] | None = None,
        part: Part = WHOLE,
    ) -> Study:
        """Open the study of a plan, creating or extending it; processes that do so at the same time take turns.

        facts: versions, commit, command and the like. They are stored as a session unless the study is finished.
        arrive: stores what has ended elsewhere before the other trials are queued. The facts are then those of the
            first session of a study that is new, and no other session begins.
        part: whose trials this process runs.
        Raises ValueError, saying what differs, where the storage holds a study of this name with another design.
        """
        with storage.alone(plan.key):
            names = {s.study_name for s in storage.get_all_studies()}
            known = cls.known(storage, plan)
            if known is not None:
                plan = known.plan.grown(plan)
            meta = _made(storage, plan.key, names)
            if known is None:
                storage.set_study_user_attr(meta, "facts", facts)
            storage.set_study_user_attr(meta, "design", plan.as_dict())
            ids = {(t, v): _made(storage, f"{plan.key}/{t}/{v}", names) for t, v in plan.pairs}
            study = cls(storage, plan, facts if known is None else known.facts, ids)
            study.part = part
            if arrive is not None:
                arrive(study)
            elif known is not None and not study.finished():
                study.sessions.begin(facts)
            study.recover()
            study._enqueue()
            storage.set_study_user_attr(meta, "planned", plan.length)
            return study

    @classmethod
    def known(cls, storage: Storage, plan: Plan) -> Study | None:
        """Return the study that is stored under the name of a plan; None where its design was never stored.

        Raises ValueError, saying what differs, where it has another design.
        """
        known = cls.if_there(storage, plan.key)
        if known is not None:
            other = f"Use another name: name={plan.design.name}_2"
            known.refuse_another(
                plan, f"Nothing was changed. {other if plan.stage == 'search' else 'It stays as it was planned first'}"
            )
        return known

    @classmethod
    def if_there(cls, storage: Storage, key: str) -> Study | None:
        """Return what `open` returns; None where there is none of this name."""
        try:
            return cls.open(storage, key)
        except KeyError:
            return None

    @classmethod
    def open(cls, storage: Storage, key: str) -> Study:
        """Return a study, or a stage of one, that was planned before.

        key: its name in the storage.
        Raises KeyError where there is none of this name.
        """
        attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(key))
        if "design" not in attributes:
            raise KeyError(key)
        values = attributes["design"]
        plan: Plan
        if "chosen" in values:
            search = cls.open(storage, key.partition("/")[0]).plan
            assert isinstance(search, Search)
            plan = Stage.from_dict(values, search)
        else:
            plan = Search(Design.from_dict(values))
            require(plan.key == key, f"the study stored as {key!r} must have this name", plan.key)
        ids = {s.study_name: s._study_id for s in storage.get_all_studies()}
        there = {(t, v): ids[f"{key}/{t}/{v}"] for t, v in plan.pairs if f"{key}/{t}/{v}" in ids}
        return cls(storage, plan, attributes.get("facts", {}), there)

    @classmethod
    def await_plan(cls, storage: Storage, plan: Plan, seconds: float = 600.0) -> Study:
        """Return the study as soon as another process has planned it. Raises TimeoutError if none does so in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(plan.key))
            except KeyError:
                attributes = {}
            if attributes.get("planned", 0) >= plan.length:
                study = cls.open(storage, plan.key)
                study.refuse_another(plan)
                return study
            time.sleep(0.5)
        raise TimeoutError(f"{plan.title} was not planned within {seconds:.0f} s; is worker 0 running?")

    def refuse_another(self, plan: Plan, advice: str = "") -> None:
        """Raise ValueError, saying what differs, where this study was planned differently."""
        found = differences(self.plan.fixed(), plan.fixed())
        if found:
            raise ValueError(f"{plan.title} exists with a different design ({'; '.join(found)}). {advice}".strip())

    @classmethod
    def stages(cls, storage: Storage, name: str) -> list[Study]:
        """Return the stages of a study that were planned, those of the fewest points first."""
        studies = [s.study_name for s in storage.get_all_studies() if "design" in s.user_attrs]
        found = [cls.open(storage, key) for key in studies if key.startswith(f"{name}/")]
        points = {id(study): study.plan.points for study in found if isinstance(study.plan, Stage)}
        return sorted(found, key=lambda study: points[id(study)])

    # Planning
    # -------------------------------------------------------------------------------------------------------------

    def set_aside(self) -> int:
        """Let the trials wait again whose record is not the one that the plan has; returns how many."""
        return self._retire(lambda finished: self.stranger(finished) != "")

    def _template(self, pair: Pair, index: int, attempt: int, **more: Any) -> FrozenTrial:
        adaptive = self.design.adaptive
        return create_trial(
            state=TrialState.WAITING,
            params={} if adaptive else self.design.values(pair[0], self.plan.point_of(*pair, index)),
            distributions={} if adaptive else self._distributions,
            user_attrs={"index": index, "attempt": attempt, **{key: value for key, value in more.items() if value}},
        )

    @cached_property
    def _distributions(self) -> dict[str, BaseDistribution]:
        return distributions(self.design.space)

    # Working
    # -------------------------------------------------------------------------------------------------------------

    def _first(self, pair: Pair) -> int:
        return pilot_points(self.plan) if pair[1] == self.design.baseline else 0

    def _leased(self, pair: Pair, index: int, number: int) -> Lease:
        values = self._propose(pair, number) if self.design.adaptive else None
        return Lease(number, *pair, index, self.plan.planned(*pair, index, values).trial)

    def run(self, claim: Lease, stopping: Callable[[], bool]) -> Outcome:
        """Run a claimed trial; see `runs.trial.training.run`."""
        return run(claim.trial, self.reporter(claim), stopping, raise_faults=True)

    def _propose(self, pair: Pair, number: int) -> dict[str, float | int]:
        sampler = sampler_of(self.design.sampler, number % 2**32)
        study = optuna.load_study(study_name=self._name(pair), storage=self.storage, sampler=sampler)
        return propose(study, number, self.design.space)

    def _name(self, pair: Pair) -> str:
        return f"{self.plan.key}/{pair[0]}/{pair[1]}"

    def reporter(self, lease: Lease) -> Callable[[int, float], None]:
        """Return what a trial calls with the step and the loss of every evaluation.

        With a pruner it stores the loss, and raises `Pruned` where the pruner says so.
        """
        if self.design.pruner == "none":
            return lambda step, loss: None
        training = sized(lease.trial.training, self._problem(lease.trial))
        pruner = pruner_of(self.design.pruner, training.updates)
        study = optuna.load_study(study_name=self._name(lease.pair), storage=self.storage, pruner=pruner)
        reported = _reported(training)

        def report(step: int, loss: float) -> None:
            if step not in reported:
                return
            patiently(lambda: self.storage.set_trial_intermediate_value(lease.number, step, loss))
            if step > 0 and patiently(lambda: pruner.prune(study, self.storage.get_trial(lease.number))):
                raise Pruned(step)

        return report

    def finish(self, claim: Lease, ended: Outcome) -> bool:
        """Store the outcome of a claimed trial, with its curve as intermediate values, in one write.

        Returns False where the trial was taken from this worker meanwhile, as it seemed dead: the outcome is dropped,
        and the trial runs again.
        """
        reported = self.design.pruner != "none"  # the losses are stored already, see `reporter`
        curve = [] if reported else thinned(ended.curve_steps, ended.curve_losses)
        try:
            self.storage.finish(claim.number, self._ending(claim.trial, ended, self.sessions.number, curve))
        except UpdateFinishedTrialError:
            return False
        return True

    def _ending(self, trial: Trial, outcome: Outcome, session: int, curve: list[tuple[int, float]]) -> Ending:
        """Return the end of a trial as it is stored."""
        state, values = TrialState.FAIL, None
        if outcome.status == "pruned":
            state = TrialState.PRUNED
        elif outcome.validation_loss is not None:
            state, values = TrialState.COMPLETE, [outcome.validation_loss]
        attributes = {
            "trial_id": trial.id,
            "hidden_size": trial.model.hidden_size,
            "outcome": outcome.as_dict(),
            "session": session,
        }
        return Ending(state, attributes, values, curve)

    # Trials that ended elsewhere
    # -------------------------------------------------------------------------------------------------------------

    def store(self, arrivals: Collection[Arrival], replaced: Collection[int] = ()) -> None:
        """Store trials that have ended elsewhere as if they had run here. Only the holder of the lock may do so.

        What waits in their places leaves the queue. If this process is killed meanwhile, some of them are stored.

        replaced: numbers of stored trials whose outcome does not count any more.
        """
        self.storage.add((self._ids[arrival.pair], self._ended(arrival)) for arrival in arrivals)
        if replaced:
            self.storage.set_study_user_attr(self._meta, "retired", sorted({*replaced} | self._retired()))
        places = {arrival.place for arrival in arrivals}
        waiting = [
            trial._trial_id
            for pair in {arrival.pair for arrival in arrivals}
            for trial in self.trials(pair, (TrialState.WAITING,))
            if (*pair, index_of(trial)) in places
        ]
        self.storage.drop(waiting)
        self._queue = []

    def _ended(self, arrival: Arrival) -> FrozenTrial:
        trial, outcome = arrival.trial, arrival.outcome
        ending = self._ending(trial, outcome, arrival.session, self._curve(trial, outcome))
        now = datetime.now()
        stored = create_trial(
            state=ending.state,
            values=ending.values,
            params=dict(arrival.values),
            distributions=self._distributions,
            user_attrs={"index": arrival.index, "attempt": 1, **ending.attributes},
            intermediate_values=dict(ending.curve),
        )
        stored.datetime_start, stored.datetime_complete = now - timedelta(seconds=outcome.seconds), now
        return stored

    def _curve(self, trial: Trial, outcome: Outcome) -> list[tuple[int, float]]:
        """Return the steps and losses that a trial would have stored here; with a pruner those at which it is asked."""
        if self.design.pruner == "none" or not outcome.curve_steps:
            return thinned(outcome.curve_steps, outcome.curve_losses)
        reported = _reported(sized(trial.training, self._problem(trial)))
        pairs = zip(outcome.curve_steps, outcome.curve_losses, strict=True)
        return [(step, loss) for step, loss in pairs if step in reported]

    # Reading
    # -------------------------------------------------------------------------------------------------------------

    def counts(self) -> dict[Pair, dict[str, int]]:
        """Count the trials of each pair: `done`, `running`, `waiting`, and those that are done by status."""
        counts = {pair: {"done": 0, "running": 0, "waiting": 0} for pair in self.plan.pairs}
        for finished in self.finished_trials():
            row = counts[finished.task, finished.variant]
            row["done"] += 1
            row[finished.status] = row.get(finished.status, 0) + 1
        for pair, row in counts.items():
            row["running"] = len(self.trials(pair, (TrialState.RUNNING,)))
            row["waiting"] = self.plan.length - row["done"] - row["running"]
        return counts

    def pilot(self) -> list[str]:
        """Return lines on what the baseline's first points say; empty until these are finished, or without a pilot.

        Those of the pilot's points count that belong to the part of this process, and others that are there as well.
        """
        points, baseline = range(pilot_points(self.plan)), self.design.baseline
        own: dict[str, list[tuple[int, Outcome]]] = {task: [] for task in self.design.tasks}
        for finished in self.finished_trials():
            if finished.variant == baseline and finished.index in points:
                own[finished.task].append((finished.index, finished.outcome))
        indices = {index for index in points if self.part.has(index)}
        complete = len(indices) > 0 and all(indices <= {index for index, _ in ran} for ran in own.values())
        return findings(self.design, {t: [outcome for _, outcome in ran] for t, ran in own.items()}) if complete else []

    def changed_classes(self) -> list[str]:
        """Return the classes of the user's whose code was another one in a session of this study than it is here."""
        nodes = [*self.design.variants.values(), *self.design.tasks.values(), self.design.initialisation]
        named = {str(node.get("_target_")).rpartition(".")[2] for node in nodes if not ours(node.get("_target_"))}
        here, sessions = own_classes(), [facts.get("classes", {}) for facts in self.sessions.all()]
        return [
            name
            for name, text in here.items()
            if name.rpartition(".")[2] in named and any(known.get(name, text) != text for known in sessions)
        ]

    def stranger(self, finished: Finished) -> str:
        """Return what is wrong with a stored trial that is not the one of the plan; empty where it is."""
        planned = self.plan.planned(finished.task, finished.variant, finished.index, finished.stored.params)
        return self._wrong(finished, planned.point, planned.trial.id)

    def _wrong(self, finished: Finished, point: int, trial_id: str) -> str:
        """Return what `stranger` returns, for the point and the id that the trial has in the plan.

        Code of another version may give the same trial another id, as with a new field of `Training`. Of trials of such
        code only the hyperparameters are compared.
        """
        stored, name = finished.stored, f"trial {finished.task} {finished.variant} {finished.index}"
        if not self.design.adaptive and stored.params != self.design.values(finished.task, point):
            return f"{name} has other hyperparameters than the design gives it"
        recorded = stored.user_attrs.get("trial_id")  # absent where its workers died
        if recorded not in (trial_id, None) and self.sessions.of(finished.session).get("code") == code():
            return f"{name} is recorded as {recorded}, the design has {trial_id} there"
        return ""

    def refuse_strangers(self) -> None:
        """Raise ValueError where a stored trial is not the one of the plan."""
        for finished in self.finished_trials():
            self._refuse(self.stranger(finished))

    def _refuse(self, wrong: str) -> None:
        if wrong:
            cure = "action=repair sets such records aside, and their points run again with the next run"
            raise ValueError(f"{self.plan.title}: {wrong}; {cure}")

    def records(self) -> list[Row]:
        """Return the tidy table as rows; see `runs.record.rows`.

        Raises ValueError where a stored trial is not the one of the plan.
        """
        return [self._record(finished) for finished in self.finished_trials()]

    def _record(self, finished: Finished) -> Row:
        planned = self.plan.planned(finished.task, finished.variant, finished.index, finished.stored.params)
        self._refuse(self._wrong(finished, planned.point, planned.trial.id))
        problem = None if finished.outcome.task else self._problem_if_there(planned.trial)
        return row_of(self.plan, finished, planned, problem)

    def _problem_if_there(self, trial: Trial) -> Task | None:
        """Return the task of a trial; None where its data are not there, or are no longer those of the study."""
        try:
            return self._problem(trial)
        except NotAllowed:
            raise
        except ValueError:
            return None

    def _problem(self, trial: Trial) -> Task:
        key = json.dumps(trial.task, sort_keys=True)
        if key not in self._problems:
            self._problems[key] = construct(trial.task, Task)
        return self._problems[key]

    @cached_property
    def _problems(self) -> dict[str, Task]:
        return {}


def _made(storage: Storage, name: str, names: Collection[str]) -> int:
    """Return the id of a study in a storage, which is created where it is not among the names that there are."""
    if name in names:
        return storage.get_study_id_from_name(name)
    return storage.create_new_study([StudyDirection.MINIMIZE], name)


def _reported(training: Training) -> set[int]:
    """Return the updates at which a pruner is asked."""
    grid = evaluation_grid(training)
    return {step for step, _ in thinned(grid, [0.0] * len(grid))}
