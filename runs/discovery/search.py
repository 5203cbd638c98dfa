"""A search for cells in its storage, the record: one Optuna study `<name>/search`, whose trials are candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from ..study.claiming import Queue, has_outcome
from ..study.design import differences
from ..study.sessions import Facts
from ..study.storage.contract import Ending, Storage, index_of
from ..study.trials import Claim, Pair
from .candidate import FAILED, Candidate, Result, Told
from .evaluation import Evaluation, Known
from .kernels import make_room
from .plan import ARMS, PAIR, REFERENCE, START, CellPlan
from .proposing import proposed
from .scoring import reference_of, unsolved_by_gru
from .trials import Trials

PLAN = "search"
"""The attribute of the Optuna study that holds the plan."""
RENEWED = 500
"""After how many candidates a worker is replaced, as the machine code of kernels stays in its memory."""


@dataclass(frozen=True)
class CandidateClaim(Claim):
    """A candidate that this process has claimed and tries.

    candidate: what to try. known: what was told before its generation.
    """

    candidate: Candidate
    known: Known


class CellSearch(Queue[CandidateClaim, Result]):
    """A planned search in a storage; `runs.study.claiming.Queue` says what its attributes are.

    The candidates of a generation are stored when all before them have been told. Whoever finds nothing waiting does
    so, one process at a time; or it sleeps until others have told their candidates.
    """

    plan: CellPlan
    idle_seconds = 0.2
    grows = True
    things = "candidates"
    most = RENEWED

    def __init__(self, storage: Storage, plan: CellPlan, facts: Facts, number: int) -> None:
        super().__init__(storage, plan, facts, {PAIR: number})
        self._trials = Trials(plan)
        self._known: tuple[int, Known] | None = None  # of a generation
        self._candidates: dict[int, Candidate] = {}
        self._complete = 0  # generations that are known to be told
        self._refusal: str | None = None  # until the references are told

    # Opening
    # -------------------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, storage: Storage, plan: CellPlan, facts: Facts) -> CellSearch:
        """Open the search of a plan, creating or extending it; processes that do so at the same time take turns.

        facts: versions, commit, command and the like. They are stored as a session unless the search is finished.
        Raises ValueError, saying what differs, where the storage holds a search of this name with another plan, and
        where a study has this name.
        """
        with storage.alone(plan.key):
            names = {s.study_name: s for s in storage.get_all_studies()}
            if "design" in getattr(names.get(plan.design.name), "user_attrs", {}):
                raise ValueError(f"name must be that of no study in the same storage, got {plan.design.name!r}")
            known = cls.open(storage, plan.key) if PLAN in getattr(names.get(plan.key), "user_attrs", {}) else None
            if known is not None:
                known.refuse_another(plan)
                plan = known.plan.grown(plan)
            if plan.key in names:
                number = names[plan.key]._study_id
            else:
                number = storage.create_new_study([StudyDirection.MAXIMIZE], plan.key)
            if known is None:
                storage.set_study_user_attr(number, "facts", facts)
            storage.set_study_user_attr(number, PLAN, plan.as_dict())
            search = cls(storage, plan, facts if known is None else known.facts, number)
            if known is not None and not search.finished():
                search.sessions.begin(facts)
            search.recover()
            search._enqueue()
            return search

    @classmethod
    def open(cls, storage: Storage, key: str) -> CellSearch:
        """Return a search that was planned before.

        key: its name in the storage.
        Raises KeyError where there is none of this name.
        """
        number = storage.get_study_id_from_name(key)
        attributes = storage.get_study_user_attrs(number)
        if PLAN not in attributes:
            raise KeyError(key)
        return cls(storage, CellPlan.from_dict(attributes[PLAN]), attributes.get("facts", {}), number)

    def refuse_another(self, plan: CellPlan) -> None:
        """Raise ValueError, saying what differs, where this search was planned differently."""
        found = differences(self.plan.fixed(), plan.fixed())
        if found:
            other = f"Nothing was changed. Use another name: name={plan.design.name}_2"
            raise ValueError(f"{plan.title} exists with a different plan ({'; '.join(found)}). {other}")

    # Planning
    # -------------------------------------------------------------------------------------------------------------

    def _absent(self) -> list[tuple[Pair, int]]:
        """Return the candidates that no stored trial stands for, of all generations up to the one that is not told."""
        generation = self._next_generation()
        if generation is None:
            return []
        retired = self._retired()
        there = {index_of(t) for t in self.trials(PAIR) if not t.state.is_finished() or has_outcome(t, retired)}
        end = self.plan.numbers(generation)[-1] + 1
        return [(PAIR, index) for index in range(end) if index not in there]

    def _next_generation(self) -> int | None:
        """Return the first generation that is not told; None where all are, or where the search cannot go on."""
        told = {finished.index for finished in self.finished_trials()}
        while self._complete <= self.plan.generations and all(k in told for k in self.plan.numbers(self._complete)):
            self._complete += 1
        if self._complete > self.plan.generations or self.refusal():
            return None
        return self._complete

    def refusal(self) -> str:
        """Return one line on why the search cannot go on, which is known once the references are told; else empty."""
        if self._refusal is None and self._complete >= 1:
            self._refusal = unsolved_by_gru(self.plan, self.told(1))
        return self._refusal or ""

    def left(self) -> int:
        """Return how many candidates have not been told; none where the search cannot go on."""
        left = super().left()
        if left and self._complete == 0:
            self._next_generation()
        return 0 if self.refusal() else left

    def told(self, before: int | None = None) -> list[Told]:
        """Return the candidates with what was found of them, in the order of their numbers.

        before: only those of the generations before this one.
        """
        end = self.plan.length if before is None else self.plan.numbers(before)[0] if before else 0
        return [
            Told(
                Candidate.from_dict(finished.stored.user_attrs["candidate"]),
                Result.from_dict(finished.stored.user_attrs["outcome"]),
            )
            for finished in self.finished_trials()
            if finished.index < end
        ]

    def _template(self, pair: Pair, index: int, attempt: int, **more: Any) -> FrozenTrial:
        kept = {key: value for key, value in more.items() if value}
        return create_trial(
            state=TrialState.WAITING,
            user_attrs={"index": index, "attempt": attempt, "candidate": self.candidate(index).as_dict(), **kept},
        )

    def candidate(self, index: int) -> Candidate:
        """Return a candidate, of whose generation all others before it must have been told.

        index: its number.
        """
        if index not in self._candidates:
            stored = (Candidate.from_dict(trial.user_attrs["candidate"]) for trial in self.trials(PAIR))
            self._candidates = {each.index: each for each in stored}
        if index not in self._candidates:
            generation = self.plan.generation(index)
            new = proposed(self.plan, generation, self.told(generation))
            self._candidates = {**{each.index: each for each in new}, **self._candidates}
        return self._candidates[index]

    # Working
    # -------------------------------------------------------------------------------------------------------------

    def enqueue(self) -> int:
        """Let the candidates of the next generation wait, if all before it have been told; returns how many."""
        make_room()
        return super().enqueue()

    def _leased(self, pair: Pair, index: int, number: int) -> CandidateClaim:
        candidate = Candidate.from_dict(self.storage.get_trial(number).user_attrs["candidate"])
        return CandidateClaim(number, *pair, index, candidate, self._known_before(candidate.generation))

    def _known_before(self, generation: int) -> Known:
        """Return what was told before a generation."""
        if self._known is None or self._known[0] != generation:
            told = self.told(generation)
            fingerprints: dict[tuple[str, str], int] = {}
            for each in told:
                arm = each.candidate.arm
                for own in ARMS if arm in (REFERENCE, START) else (arm,):
                    if each.result.fingerprint:
                        fingerprints.setdefault((own, each.result.fingerprint), each.candidate.index)
            reference = reference_of(self.plan, told) if generation else {}
            self._known = generation, Known(reference, fingerprints)
        return self._known[1]

    def run(self, claim: CandidateClaim, stopping: Callable[[], bool]) -> Result:
        """Try a candidate; see `runs.discovery.evaluation`."""
        return Evaluation(self.plan, self._trials, claim.candidate, claim.known, stopping).result()

    def finish(self, claim: CandidateClaim, ended: Result) -> bool:
        """Store what was found of a candidate, in one write.

        Returns False where it was taken from this worker meanwhile: what was found is dropped, and it is tried again.
        """
        state, values = TrialState.PRUNED, None
        if ended.ratio is not None:
            state, values = TrialState.COMPLETE, [ended.ratio]
        elif ended.status == FAILED:
            state = TrialState.FAIL
        attributes = {"outcome": ended.as_dict(), "session": self.sessions.number}
        try:
            self.storage.finish(claim.number, Ending(state, attributes, values))
        except UpdateFinishedTrialError:
            return False
        return True

    def _failure(self, error: str, seconds: float) -> Mapping[str, Any]:
        return Result(status=FAILED, reason=error, seconds=seconds).as_dict()

    def pilot(self) -> list[str]:
        """Return lines on what the GRU reached on each task; empty until all references are told."""
        told = [each for each in self.told(1) if each.candidate.arm == REFERENCE]
        if len(told) < self.plan.blocks:
            return []
        lines = []
        for task in self.plan.stages:
            found = [step for each in told for step in each.result.solved.get(task, ())]
            steps = [step for step in found if step is not None]
            where = f", first after {min(steps)} updates and last after {max(steps)}" if steps else ""
            lines.append(
                f"GRU on {task}: solves {len(steps)} of {len(found)} points within {self.plan.budget(task)}{where}"
            )
        return lines
