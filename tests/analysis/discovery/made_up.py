"""A search for cells whose candidates are real and whose results are made up, so that nothing is trained."""

import hashlib
from dataclasses import replace

from numpy.random import default_rng

from runs.discovery.candidate import DUPLICATE, NOTHING, SCORED, VALIDITY, Result, Told
from runs.discovery.graph import Graph
from runs.discovery.plan import NAMES, REFERENCE, START
from runs.discovery.proposing import proposed
from runs.discovery.scoring import ratio, reference_of
from tests.runs.discovery.conftest import VARIANTS, make_plan

MUT1 = {"_target_": "variants.Mut1", "label": "mut1", "keep_bias": 1.0}
FACTS = {
    "facts": {
        "commit": "cb6631658a98",
        "processor": "AMD EPYC",
        "python": "3.11.7",
        "machine": "x86_64, Linux 6.1 box",
    },
    "sessions": [
        {"commit": "cb6631658a98", "command": "python -m runs.discover results=/home/me/results", "host": "box"}
    ],
}
KEPT = {REFERENCE, START, NAMES}


def made_up_plan(name="made_up", **changes):
    """The plan: by default 4 generations of 24 mutants and 12 random cells."""
    values = {"generations": 4, "mutants": 24, "fresh": 12, "names": 10, "pool": 10, "again": 0.2, "blocks": 3}
    plan = make_plan(name=name, **values | changes)
    return replace(plan, design=replace(plan.design, variants={**VARIANTS, "mut1": MUT1}))


def told_of(plan, until=None):
    """The candidates of a plan with what was made up of them; until: the number of the last generation but one."""
    told = []
    for generation in range(plan.generations + 1 if until is None else until):
        reference = reference_of(plan, told)
        told += [Told(each, result_of(plan, each, reference)) for each in proposed(plan, generation, told)]
    return told


def result_of(plan, candidate, reference):
    """What was made up of a candidate: how good it is follows from its equations, and luck from its block and name."""
    if not candidate.equations:
        return Result(status=NOTHING, reason="200 cells were drawn and none was new")
    own = default_rng(int(candidate.key, 16))
    luck = default_rng(
        int(hashlib.sha256(f"{candidate.key} {candidate.block} {candidate.name}".encode()).hexdigest(), 16)
    )
    gates = len(Graph.read(candidate.equations).gates)
    good = 1.05 * own.beta(2, 1.4) if candidate.arm not in KEPT else 1.0 - 0.05 * abs(gates - 3)
    ends = own.random() if candidate.gated else 1.0
    if ends < 0.1:
        return Result(status=VALIDITY, reason="no input has an effect after 200 steps", seconds=0.01)
    if ends < 0.14:
        return Result(status=DUPLICATE, reason="of 0", twin=0, seconds=0.02)
    seconds = {task: round(float(luck.uniform(0.1, 0.3)), 4) for task in plan.stages}
    stages = plan.stages[:1] if ends < 0.3 else plan.stages[:2] if good < 0.6 and candidate.gated else plan.stages
    values = {task: (min(1.95, 1.4 * good + float(luck.normal(0, 0.04))),) for task in stages}
    solved = {task: tuple(int(150 * (2 - v)) if v > 1 else None for v in found) for task, found in values.items()}
    own_ratio = ratio(plan, {candidate.block: values}, reference)
    status = SCORED if len(stages) == len(plan.stages) else stages[-1]
    return Result(
        status=status,
        values=values,
        solved=solved,
        seconds=sum(seconds[task] for task in stages),
        by_stage={"checks": 0.01, **{task: seconds[task] for task in stages}},
        ratio=1.0 if candidate.arm == REFERENCE else own_ratio,
        parameters=500 + gates,
        widths=dict.fromkeys(stages, 24 // gates),
        fingerprint=candidate.key,
    )
