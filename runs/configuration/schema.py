"""The keys of a trial and of a study as typed classes, which Hydra reads."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from functools import partial
from types import GenericAlias, UnionType
from typing import Any, get_args, get_origin

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf, open_dict

from variants import knobs_of

from ..console.source import key_of
from ..study.stages import Confirm, Horizon
from ..trial.classes import target_of
from ..trial.trial import Model, Training
from .knobs import GROUPS

ACTIONS = ("run", "status", "stop", "retry", "repair", "export", "restore")


@dataclass
class Tracking:
    """Where MLflow runs go.

    enabled: whether trials and studies are written to MLflow.
    uri: of a database or a server; empty for an SQLite file `mlflow.db` in the results folder.
    """

    enabled: bool = True
    uri: str = ""


@dataclass
class Storage:
    """Where a study is recorded.

    url: of an Optuna storage; empty for a journal file in the study's folder.
    """

    url: str = ""


@dataclass
class TrialConfig:
    """One trial: a variant trained once on a task.

    variant: the cell, what remembers.
    network: what stands around the cell.
    task: what must be remembered.
    initialisation: how parameters start.
    model: the network around the cell.
    training: how it is trained.
    seed: random seed of initialisation, training data and input noise.
    data_seed: random seed of the validation and test sets.
    results: folder that receives everything.
    tracking: where MLflow runs go: sqlite, server, none.
    """

    variant: Any = MISSING
    network: Any = MISSING
    task: Any = MISSING
    initialisation: Any = MISSING
    model: Any = MISSING
    training: Any = MISSING
    seed: int = 0
    data_seed: int = 0
    results: str = "results"
    tracking: Tracking = field(default_factory=Tracking)


@dataclass
class SweepConfig:
    """One study: variants, tasks and the points of a space of hyperparameters at which all variants are trained.

    name: of the study; its folder in the results and its MLflow experiment.
    variants: names, dotted paths of your own cells, or labels with knobs, in the order of the figures;
        `[vanilla, my_package.MyCell]`; `{no_bias: {variant: vanilla, keep_bias: 0}}` is one with knobs.
    baseline: the variant that the others are compared with; with `factors` the one with the first level of each.
    factors: parts of one variant that are combined, `variants=[modular_lstm]` and
        `factors={output_gate: [true, false]}`. Each combination becomes a variant, and the effects of the parts and of
        all pairs of them are reported. A level may set several knobs: `{gating: {own: {}, one: {coupled: true}}}`.
    networks: what stands around the variants: names, dotted paths of your own, or labels with knobs;
        `[reader, {attention: {score: product}}]`. Every variant stands in each of them; `gru` in attention is
        `gru_attention`, and the effects of cell and network and of both together are reported. By default the reader.
    fraction: 2 for half of the combinations of the factors with two levels, 4 for a quarter, chosen so that effects are
        aliased as little as possible; 1 for all.
    impossible: what is done with combinations that no cell can have: refuse or leave_out.
    tasks: name to knobs; `{adding: {lag: 50}}`. Several lags, `{adding: {lag: [30, 60, 120]}}` or
        `tasks.adding.lag=[30,60,120]`, make a series: the tasks adding_30, adding_60 and adding_120, which share points
        and seeds. A second version of a task:
        `{adding_long: {task: adding, lag: 400}}`. A task of your own: `{digits: {task: my_package.Digits}}`. From the
        shell `+tasks.digits.task=...` adds one and `~tasks.adding` takes one out.
    points: number of hyperparameter points per task, shared by all variants.
    against: an archive that the variants are added to: archive:<name> or the path of a parquet file. The design is that
        of the archive, and only the new variants are trained.
    lags: the lags that are taken of an archive, `[30,120]`; all by default. With `against`, `tasks=[adding]` takes some
        of its tasks.
    match: parameters (each variant gets the width that has the baseline's number of parameters), width (all have the
        same) or both (each variant but the baseline is there twice, as `gru` and as `gru_same_width`).
    space: hyperparameter to its range: low, high, log, integer, and the `key` of the trial that it sets. Variants
        without the knob of a key `variant.<knob>` ignore it. With `space=none` nothing is searched: points differ in
        their seeds only.
    seed: random seed from which points, initialisation and data are derived.
    workers: processes on this machine.
    trial_seconds: time after which a trial counts as failed, 0 for no limit. It is not part of the design: a later
        run may have another limit.
    part: 1/2 for the first of two parts: only every second point is run here, the others on another machine that shares
        nothing with this one. action=restore merges the archives of all parts. It is not part of the design.
    worker: number of this worker if a launcher starts them (`-m worker='range(0,8)'`); number 0 plans the study.
    sampler: random or sobol (points shared by all variants); tpe or cmaes (each variant is searched separately).
    pruner: none, asha or median (stops trials that do badly; variants cannot be compared then).
    action: run (start or go on), status, stop (let the workers finish what they run and leave; a second time: at
        once), retry (run failed trials again), repair (keep what is intact of a damaged journal), export (the table as
        parquet) or restore (go on with a study from its archive, see `from`).
    from_: with action=restore: the archive of a study, `from=trials.parquet`, or those of its parts,
        `from=[a.parquet,b.parquet]`, or one that is shipped, `from=archive:lags`. The design is that of the archive.
    verify: with action=restore: how many of the restored trials are run again, to see whether they have the same bits
        here; 0 for none.
    stage: search; once that is complete, confirm (its winners with fresh seeds) or horizon (its best configurations at
        lags that double).
    confirm, horizon: knobs of the stages, see `runs.study.stages`.
    initialisation: how parameters start.
    model: layers, directions, engine; the width is searched or matched.
    training: optimiser, budget, evaluation, stopping.
    storage: where the study is recorded: journal, postgres.
    results: folder of all studies.
    tracking: where MLflow runs go: sqlite, server, none.
    """

    name: str = MISSING
    variants: Any = field(default_factory=list)
    baseline: str = "vanilla"
    factors: Any = field(default_factory=lambda: None)  # as tasks
    networks: Any = field(default_factory=lambda: ["reader"])
    fraction: int = 1
    impossible: str = "refuse"
    tasks: Any = field(default_factory=lambda: None)  # presets have a mapping, and beside `against` it may be a list
    points: int = 50
    against: str = ""
    lags: Any = field(default_factory=list)
    match: str = "parameters"
    space: Any = field(default_factory=dict)
    initialisation: Any = MISSING
    model: Any = MISSING
    training: Any = MISSING
    seed: int = 0
    sampler: str = "random"
    pruner: str = "none"
    workers: int = 1
    trial_seconds: float = 0.0
    part: str = ""
    worker: int | None = None
    action: str = "run"
    from_: Any = ""
    verify: int = 3
    stage: str = "search"
    confirm: Any = field(default_factory=lambda: node_of(Confirm)())
    horizon: Any = field(default_factory=lambda: node_of(Horizon)())
    storage: Storage = field(default_factory=Storage)
    results: str = "results"
    tracking: Tracking = field(default_factory=Tracking)


SCHEMAS: dict[str, type[Any]] = {"trial": TrialConfig, "sweep": SweepConfig}


def registered() -> dict[str, dict[str, type[Any]]]:
    """Return the classes that are choices of a group, by group and by name."""
    return {group: base.registry for group, base in GROUPS.items()}


def register() -> None:
    """Store every registered class and the typed configurations with Hydra."""
    store = ConfigStore.instance()
    for group, classes in registered().items():
        for name, cls in classes.items():
            store.store(group=group, name=name, node=node_of(cls, name), provider="code")
    for cls in (Model, Training):
        store.store(group=cls.__name__.lower(), name=cls.__name__.lower(), node=node_of(cls), provider="code")
    for name, schema in SCHEMAS.items():
        store.store(name=f"{name}_schema", node=_keys_of(schema), provider="code")


def _keys_of(schema: type[Any]) -> Any:
    """Return the typed configuration of a command; a field such as `from_`, a word of Python, is its key `from`."""
    node = OmegaConf.structured(schema)
    with open_dict(node):
        for name in [str(name) for name in node if key_of(str(name)) != name]:
            node[key_of(name)] = node.pop(name)
    return node


def node_of(cls: type[Any], label: str | None = None) -> type[Any]:
    """Return the typed configuration of a class, as a dataclass whose fields are the knobs of the class.

    OmegaConf knows lists but no tuples, so a knob that is a tuple becomes a list.

    cls: a class whose constructor has keyword arguments with defaults.
    label: the name of a choice; with it the configuration also says which class it is of (`_target_`, `label`).
    """
    fields: list[tuple[str, Any, Any]] = []
    if label is not None:
        fields = [("_target_", str, field(default=target_of(cls))), ("label", str, field(default=label))]
    for name, knob in knobs_of(cls).items():
        if get_origin(knob.annotation) is tuple:
            kind = GenericAlias(list, get_args(knob.annotation)[:1])
            fields.append((name, kind, field(default_factory=partial(list, knob.default))))
        elif isinstance(knob.annotation, UnionType):  # OmegaConf cannot type "a number or a mapping"; the class checks
            fields.append((name, Any, field(default=knob.default)))
        else:
            fields.append((name, knob.annotation, field(default=knob.default)))
    return make_dataclass(f"{cls.__name__}Config", fields)


def plain(config: Any) -> Any:
    """Return a configuration as plain dictionaries, lists and values, with its interpolations resolved."""
    if not OmegaConf.is_config(config):
        return config
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
