"""Bad input at the shell, kind by kind: one line that says what to write instead. What is right is never refused."""

import sys
from dataclasses import fields
from importlib import import_module

import pytest

from runs import __main__ as runs_main
from runs import sweep
from runs.arguments import key_values
from runs.configuration.nodes import dimension, variant_node
from runs.configuration.schema import SCHEMAS, Storage, Tracking, plain, registered
from runs.configuration.stage import notes
from runs.configuration.study import design_from
from runs.configuration.trial import trial_from
from runs.console import early, manual, source
from runs.study.plan import Search
from runs.study.space import Dimension
from runs.study.stages import KINDS
from runs.trial.trial import Model, Training
from runs.workers.actions import opened
from tasks import Task
from tests.runs.configuration.test_command_line import call
from variants import Cell, Scheme, knobs_of

REGISTERED = registered()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A module of one's own with a cell and a task, outside of the project; forgotten again afterwards."""
    (tmp_path / "own_package.py").write_text(
        "from tasks.synthetic.adding import Adding\nfrom variants.cells.lstm import Vanilla\n\n\n"
        "class Leaky(Vanilla):\n"
        "    def __init__(self, *, leak: float = 0.5, keep_bias: float = 0.0) -> None:\n"
        "        super().__init__(keep_bias=keep_bias)\n        self.leak = leak\n\n\n"
        "class Digits(Adding):\n"
        "    def __init__(self, *, lag: int = 7, noise: float = 0.5) -> None:\n"
        "        super().__init__(lag=lag)\n        self.noise = noise\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_package", raising=False)
    return tmp_path


# Found before torch is imported
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "argument", "line"),
    [
        ("trial", "variant=vanila", "unknown variant 'vanila'; did you mean 'vanilla'? There is: antisymmetric_rnn, "),
        ("trial", "variant=No-Forget-Gate", ""),  # no plain name: Hydra answers
        ("trial", "variant=", "unknown variant ''; there is: antisymmetric_rnn, "),
        ("trial", "variant=null", "unknown variant 'null'; "),
        ("trial", "task=addin", "unknown task 'addin'; did you mean 'adding'? There is: adding, "),
        ("trial", "initialisation=gru", "unknown initialisation 'gru'; there is: chrono, "),
        ("trial", "model=5", "unknown model '5'; there is: model"),
        ("trial", "training=smokke", "unknown training 'smokke'; did you mean 'smoke'? "),
        ("trial", "trainin.budget=3", "unknown key 'trainin.budget'; did you mean 'training.budget'? "),
        ("trial", "+lag=10", "unknown key 'lag'; the keys are: "),
        ("trial", "+x.y=1", "unknown key 'x.y'; the keys are: "),
        ("trial", "study=quick", "study=quick: `python -m runs` has no study; it is a key of `python -m runs.sweep`"),
        ("trial", "+study=quick", "+study=quick: `python -m runs` has no study; "),
        ("trial", "space.size.low=3", "space.size.low=3: `python -m runs` has no space; "),
        ("trial", "storage=postgres", "storage=postgres: `python -m runs` has no storage; "),
        ("trial", "+variant=gru", "+variant=gru: there is a variant already; write variant=gru"),
        ("trial", "variant=[gru]", "variant=[gru]: a variant is one choice; "),
        (
            "trial",
            "variant=vanilla,gru",
            "variant=vanilla,gru: several values are run one after the other with -m only",
        ),
        ("trial", "variant=vanila,gru", "unknown variant 'vanila'; did you mean 'vanilla'?"),
        ("trial", "model.layers=1,2", "model.layers=1,2: several values are run one after the other with -m only"),
        (
            "trial",
            "variant._target_=gru",
            "variant._target_=gru: must be the dotted path of a class; ",
        ),
        ("trial", "--variant=gru", "--variant=gru: keys have no dashes; write variant=gru"),
        ("trial", "-variant=gru", "-variant=gru: keys have no dashes; write variant=gru"),
        ("trial", "--multirn", "unknown option '--multirn'; did you mean '--multirun'?"),
        ("trial", "training={}", "training={}: an empty mapping changes nothing"),
        ("trial", "hydra/launcher=joblib", "hydra/launcher=joblib: is read with -m only"),
        ("sweep", "study=quik", "unknown study 'quik'; did you mean 'quick'? There is: attention, family, "),
        ("sweep", "storage=null", "unknown storage 'null'; there is: journal, postgres"),
        ("sweep", "pointz=3", "unknown key 'pointz'; did you mean 'points'? "),
        (
            "sweep",
            "variant=gru",
            "variant=gru: `python -m runs.sweep` has no variant; the variants of a study are variants=[vanilla,gru]",
        ),
        (
            "sweep",
            "task.lag=3",
            "task.lag=3: `python -m runs.sweep` has no task; the tasks of a study are its tasks: tasks.adding.lag=60",
        ),
        (
            "sweep",
            "data_seed=3",
            "data_seed=3: `python -m runs.sweep` has no data_seed; seed is that of the whole study",
        ),
        ("sweep", "variants=vanilla", "variants must be a list, as in variants=[vanilla,gru], got 'vanilla'"),
        ("sweep", "variants=", "variants must be a list, as in variants=[vanilla,gru], got ''"),
        ("sweep", "variants=[vanilla,grü]", "unknown variant 'grü'; did you mean 'gru'?"),
        ("sweep", "variants=[vanilla,gruu]", "unknown variant 'gruu'; did you mean 'gru'?"),
        (
            "sweep",
            "tasks=[adding]",
            "tasks must be names with knobs, as in tasks.adding.lag=60, +tasks.copying={} or ",
        ),
        ("sweep", "tasks=adding", "tasks must be names with knobs, as in "),
        ("sweep", "tasks=null", "tasks must be names with knobs, as in "),
        ("sweep", "~tasks", "~tasks: tasks cannot be taken out, only set"),
        (
            "sweep",
            "tasks={}",
            "tasks={}: an empty mapping changes nothing, since it is merged into what is there; ~tasks.",
        ),
        ("sweep", "+tasks={}", "+tasks={}: an empty mapping changes nothing"),
        ("sweep", "tasks.adding={}", "tasks.adding={}: an empty mapping changes nothing"),
        (
            "sweep",
            "space={ }",
            "space={ }: an empty mapping changes nothing, since it is merged into what is there; ~space.",
        ),
        ("sweep", "hydra.launcher.mem_gb=1", "hydra.launcher.mem_gb=1: is read with -m only"),
        ("trial", "task.lagg=3", "unknown key 'task.lagg'; did you mean 'task.lag'? The keys are: lag"),
        ("trial", "variant.keep_biass=0", "unknown key 'variant.keep_biass'; did you mean 'variant.keep_bias'? "),
        ("trial", "initialisation.t_max=5", "unknown key 'initialisation.t_max'; the keys are: none"),
        ("trial", "training.clipnorm=1", "unknown key 'training.clipnorm'; did you mean 'training.clip_norm'? "),
        ("trial", "+training.foo=1", "unknown key 'training.foo'; the keys are: optimiser, "),
        ("trial", "model.size=3", "unknown key 'model.size'; "),
        ("trial", "training.optimiser=adm", "training.optimiser must be one of adam, nesterov, sgd, got 'adm'; did "),
        ("sweep", "tasks.adding.lagg=3", "unknown key 'tasks.adding.lagg'; did you mean 'tasks.adding.lag'? The "),
        ("sweep", "confirm.repeat=3", "unknown key 'confirm.repeat'; did you mean 'confirm.repeats'? "),
        (
            "sweep",
            "action=stauts",
            "action must be one of run, status, stop, retry, repair, export, restore, got 'stauts'; did ",
        ),
    ],
)
def test_what_cannot_be_right_is_told_before_torch_is_imported(command, argument, line, monkeypatch):
    monkeypatch.delitem(sys.modules, "variants.cell", raising=False)
    monkeypatch.delitem(sys.modules, "tasks.task", raising=False)
    found = early.mistake(command, [argument])
    assert found.startswith(line)
    assert bool(found) == bool(line), found


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("trial", []),
        (
            "trial",
            [
                "variant=gru",
                "task=adding_400",
                "initialisation=chrono",
                "model=model",
                "training=training",
                "tracking=none",
            ],
        ),
        (
            "trial",
            ["variant=forget_bias_0", "seed=3", "results=/tmp/x,y", "task.lag=5", "+variant.leak=0.25", "~tracking"],
        ),
        ("trial", ["-m", "variant=vanilla,gru", "seed=1,2"]),
        ("trial", ["--multirun", "variant=glob(*)", "task=choice(adding,copying)", "hydra/launcher=joblib"]),
        ("trial", ["variant._target_=my_package.MyCell", "task._target_=my_package.Digits"]),
        ("trial", ["--cfg", "job", "variant=gru"]),
        ("trial", ["-c", "job"]),
        ("trial", ["--help", "task=copying"]),
        ("trial", ["--config-dir=mine", "variant=my_preset", "anything.of=mine"]),
        ("trial", ["--config-dir", "mine", "variant=my_preset"]),
        ("trial", ["-cd", "mine", "variant=my_preset"]),
        ("trial", ["hydra.searchpath=[file://mine]", "variant=my_preset"]),
        ("trial", ["-sc", "install=bash"]),
        ("trial", ["--shell-completion", "query=bash"]),
        ("trial", ["hydra.mode=MULTIRUN", "variant=vanilla,gru"]),
        ("trial", ["variant=my/preset"]),
        ("trial", ["variant=forget_bias_0", "variant.leak=1"]),  # a preset may be of any class
        ("trial", ["-m", "variant=vanilla,gru", "variant.leak=1"]),
        ("trial", ["variant._target_=my_package.MyCell", "variant.leak=1", "variant.label=mine"]),
        ("trial", ["task=copying", "task.length=7", "model.zoneout.c=0.1", "training.optimiser=${mine}"]),
        ("sweep", ["tasks.mine.lagg=3", "tasks.adding.task=my_package.Digits", "tasks.adding.noise=1"]),
        ("sweep", ["tasks.adding.length=3"]),  # `adding` may stand for another task that has this knob
        ("trial", ["variant=${oc.env:VARIANT}"]),
        (
            "sweep",
            [
                "study=greff",
                "variants=[vanilla,gru,my_package.MyCell]",
                "space=greff",
                "storage=postgres",
                "tracking.uri=http://a,b",
            ],
        ),
        ("sweep", ["variants=[vanilla, {zero: {variant: vanilla, keep_bias: 0}}]"]),
        (
            "sweep",
            [
                "-m",
                "variants=[vanilla,gru],[vanilla,rnn]",
                "worker=range(0,8)",
                "hydra/launcher=local",
                "hydra.launcher.mem_gb=1",
            ],
        ),
        (
            "sweep",
            [
                "+tasks.copying={}",
                "~tasks.adding",
                "tasks.adding.lag=5",
                "tasks={adding: {lag: 5}}",
                "+tasks={copying: {lag: 3}}",
            ],
        ),
        (
            "sweep",
            [
                "~space.size",
                "space={size: {low: 8}}",
                "+space.noise={key: training.input_noise, low: 0, high: 1}",
                "~study",
            ],
        ),
        ("sweep", ["+confirm.repeats=3", "confirm={repeats: 3}", "worker=0", "variants=${all}", "variants=[]"]),
    ],
)
def test_what_may_be_right_is_left_to_hydra(command, arguments, monkeypatch):
    monkeypatch.delitem(sys.modules, "variants.cell", raising=False)
    monkeypatch.delitem(sys.modules, "tasks.task", raising=False)
    assert early.mistake(command, arguments) == ""


def test_nothing_is_said_of_names_where_classes_are_registered_by_others():
    assert "variants.cell" in sys.modules
    assert early.mistake("trial", ["variant=vanila"]) == ""


def test_nothing_is_said_where_a_plugin_may_add_presets(monkeypatch):
    monkeypatch.delitem(sys.modules, "variants.cell", raising=False)
    monkeypatch.setattr(early, "_plugin", lambda: True)
    assert early.mistake("trial", ["variant=vanila"]) == ""


def test_a_folder_of_presets_that_somebody_added_is_a_group(monkeypatch, tmp_path):
    (tmp_path / "experiment").mkdir()
    for command in early.COMMANDS:
        early.groups(command)  # read from the project's own files, and kept
    monkeypatch.setattr(early, "CONF", tmp_path)
    assert early.mistake("trial", ["+experiment=first"], REGISTERED) == ""


def test_a_class_that_is_registered_is_a_choice_wherever_it_stands():
    assert early.mistake("trial", ["variant=mine"], {**REGISTERED, "variant": {"mine": object}}) == ""


@pytest.mark.parametrize(("kind", "base"), [("variant", Cell), ("task", Task), ("initialisation", Scheme)])
def test_the_names_and_knobs_in_the_source_are_those_that_register(kind, base):
    folder = source.ROOTS[kind][0]
    assert source.knobs_in_source(kind) == {
        name: tuple(knobs_of(cls)) for name, cls in base.registry.items() if cls.__module__.startswith(f"{folder}.")
    }


@pytest.mark.parametrize("part", early.PARTS)
def test_the_keys_in_the_source_are_the_fields_of_the_class(part):
    cls = {"model": Model, "training": Training, "tracking": Tracking, "storage": Storage, **KINDS}[part]
    assert source.keys_in_source(*early.PARTS[part]).fields == tuple(f.name for f in fields(cls))


@pytest.mark.parametrize("key", early.WORDS)
def test_a_word_in_the_source_is_refused_or_taken_as_the_configuration_does(key, monkeypatch, capsys, tmp_path):
    main, command = (sweep.main, "sweep") if key in early.keys("sweep") else (runs_main.main, "trial")
    monkeypatch.setattr(early, "_mistake_inside", lambda *arguments: "")
    _, _, err = call(monkeypatch, capsys, main, command, f"{key}=vanish", f"results={tmp_path}")
    monkeypatch.undo()
    assert err == f"error: {early.mistake(command, [f'{key}=vanish'], REGISTERED)}\n"


@pytest.mark.parametrize("code", ["class A(Cell, name=NAME): ...", "class A(Mystery, name='a'): ..."])
def test_nothing_is_known_for_sure_of_a_folder_with_a_class_that_is_named_otherwise(code, monkeypatch, tmp_path):
    (tmp_path / "variants").mkdir()
    (tmp_path / "variants/a.py").write_text(code)
    monkeypatch.setattr(source, "ROOT", tmp_path)
    assert source.knobs_in_source.__wrapped__("variant") is None


@pytest.mark.parametrize(("command", "schema"), SCHEMAS.items())
def test_the_groups_and_keys_in_the_source_are_those_of_the_configuration(command, schema, composed):
    choices = composed(command, return_hydra_config=True).hydra.runtime.choices
    assert set(early.groups(command)) == {str(group) for group in choices if not str(group).startswith("hydra/")}
    assert early.keys(command) == {*map(source.key_of, schema.__dataclass_fields__), *early.groups(command), "hydra"}


def test_the_choices_in_the_source_are_those_of_hydra(composed):
    from hydra.core.global_hydra import GlobalHydra

    loader = GlobalHydra.instance().config_loader()
    for group in {*early.groups("trial"), *early.groups("sweep")}:
        assert early.choices(group, REGISTERED) == loader.get_group_options(group), group


# Found when the configuration is composed
# --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "arguments", "line"),
    [
        ("trial", "task.lagg=3", "unknown key 'task.lagg'; did you mean 'task.lag'? The keys are: lag"),
        (
            "trial",
            "variant.forget_bias=1",
            "unknown key 'variant.forget_bias'; did you mean 'variant.keep_bias'? The keys ",
        ),
        ("trial", "+training.foo=1", "unknown key 'training.foo'; the keys are: optimiser, "),
        ("trial", "++training.budgett=1", "unknown key 'training.budgett'; did you mean 'training.budget'? "),
        (
            "trial",
            "+tracking.url=x",
            "unknown key 'tracking.url'; did you mean 'tracking.uri'? The keys are: enabled, uri",
        ),
        ("trial", "+variant.foo=1", "vanilla: unknown knob 'foo'; its knobs are: peepholes, keep_bias"),
        ("trial", "variant=gru +variant.forget_bias=0", "gru: unknown knob 'forget_bias'; did you mean 'keep_bias'? "),
        ("trial", "+task.lagg=1", "adding: unknown knob 'lagg'; did you mean 'lag'? Its knobs are: lag"),
        ("trial", "training={budget: 3, foo: 2}", "unknown key 'training.foo'; the keys are: optimiser, "),
        ("trial", "foo", "an argument must be key=value, got 'foo'"),
        ("trial", "vanilla", "an argument must be key=value, got 'vanilla'; did you mean variant=vanilla?"),
        ("trial", "training.budget=ü", "training.budget=ü: cannot be read at 'ü' (character 17); "),
        ("trial", "~variant", "variant must be given"),
        ("trial", "~task.lag", "~task.lag: what has a default cannot be taken out, only set"),
        ("trial", "tracking=server", "tracking.uri: Environment variable 'MLFLOW_TRACKING_URI' not found"),
        ("trial", "--info=foo", "argument --info/-i: invalid choice: 'foo' "),
        ("trial", "-x", "unrecognized arguments: -x; --help lists the options"),
        ("trial", "--cfg jobb", "argument --cfg/-c: invalid choice: 'jobb' "),
        ("trial", "task.lag=${sed}", "task.lag: Interpolation key 'sed' not found"),
        (
            "trial",
            "training={momentum: 0.5}",
            "training={momentum: 0.5}: is read with training.optimiser=nesterov only, got adam",
        ),
        (
            "sweep",
            "variants=[vanilla, gru",
            "variants=[vanilla, gru: cannot be read; a list is [a,b], names with values are {a: 1, b: 2}",
        ),
        ("trial", "results=", "results must name a folder, got ''"),
        (
            "trial",
            "training.momentum=0.5",
            "training.momentum=0.5: is read with training.optimiser=nesterov only, got adam",
        ),
        (
            "trial",
            "training.optimiser=sgd training.momentum=0.5",
            "training.momentum=0.5: is read with training.optimiser=nesterov only, got sgd",
        ),
        (
            "trial",
            "training.training_sequences=100 training.epochs=3 training.budget=5",
            "training.budget=5: is read with training.epochs=0 only, got 3",
        ),
        (
            "trial",
            "training.training_sequences=100 training.epochs=3 training.evaluations=5",
            "training.evaluations=5: is read with training.epochs=0 only, got 3",
        ),
        (
            "trial",
            "training.criterion=training training.confirmations=2",
            "training.confirmations=2: is read with training.criterion=held_out only, got training",
        ),
        (
            "trial",
            "training.epochs=3",
            "training.epochs must be 0 without training.training_sequences, since adding draws fresh sequences, got 3",
        ),
        ("trial", "tracking.uri=http://x tracking=none", "tracking.uri=http://x: is read where MLflow is written only"),
        ("trial", "hydra.run.dir=/proc/x", "[Errno 2] No such file or directory: '/proc/x'"),
        ("trial", "variant._target_=os.system", "cell: 'os.system' must be a subclass of variants.cell.Cell"),
        (
            "trial",
            "training.optimiser=adm",
            "training.optimiser must be one of adam, nesterov, sgd, got 'adm'; did you mean 'adam'?",
        ),
        (
            "sweep",
            "tasks={digits: {task: my_package.Digits}}",
            "tasks.digits: the tasks of the study are adding, delayed_recall; '+",
        ),
        (
            "sweep",
            "tasks={adding: {lagg: 3}}",
            "unknown key 'tasks.adding.lagg'; did you mean 'tasks.adding.lag'? The keys are: lag",
        ),
        (
            "sweep",
            "tasks={adding: {}}",
            "tasks={adding: {}}: an empty mapping changes nothing, since it is merged into the knobs of adding",
        ),
        (
            "sweep",
            "tasks={copying: {}}",
            "tasks.copying: the tasks of the study are adding, delayed_recall; '+tasks={copying: {}}' adds one",
        ),
        (
            "sweep",
            "tasks.copying.lag=5",
            "tasks.copying: the tasks of the study are adding, delayed_recall; +tasks.copying.lag=5 adds one",
        ),
        (
            "sweep",
            "tasks.adingg.lag=5",
            "tasks.adingg: the tasks of the study are adding, delayed_recall; did you mean tasks.adding?",
        ),
        (
            "sweep",
            "tasks.delayed_recall.symbols=5",
            "tasks.delayed_recall.symbols is not set in this study; +tasks.delayed_recall.",
        ),
        (
            "sweep",
            "+tasks.adding.lag=5",
            "+tasks.adding.lag=5: it is there already; write tasks.adding.lag=5",
        ),
        ("sweep", "~tasks.copying", "~tasks.copying: there is no tasks.copying that could be taken out"),
        (
            "sweep",
            "baseline=grru",
            "baseline must be one of the variants vanilla, gru, got 'grru'; did you mean 'gru'?",
        ),
        (
            "trial",
            "seed=1 -m task.lag=3",
            "task.lag=3: an option such as -m may not stand between key=value arguments; write the options",
        ),
        ("sweep", "+tasks.adding.lagg=5", "task adding: unknown knob 'lagg'; did you mean 'lag'? Its knobs are: lag"),
        ("sweep", "tasks.adding.lag=abc", "task adding: lag=abc: Value 'abc' "),
        ("sweep", "tasks.adding=5", "tasks: adding must have knobs, as in {adding: {<knob>: <value>}}, got 5"),
        ("sweep", "+tasks.digits.task=my_package.Digits", "task: cannot import 'my_package.Digits'"),
        ("sweep", "+tasks.digits.task=addin", "unknown task 'addin'; did you mean 'adding'?"),
        ("sweep", "+tasks.digits.task=5", "tasks.digits.task must be a name or the dotted path of a class, got 5"),
        (
            "sweep",
            "variants=[vanilla,[gru]]",
            "each of the variants must be a name, the dotted path of a class, or a label with knobs",
        ),
        (
            "sweep",
            "variants=[vanilla,{vanilla: {keep_bias: 0}}]",
            "variants must be different, got 'vanilla' twice; with other",
        ),
        (
            "sweep",
            "variants=[vanilla,{a: {variant: vanilla, forget_bias: 0}}]",
            "variant a: unknown knob 'forget_bias'; did you mean 'keep_bias'",
        ),
        ("sweep", "variants=[vanilla,{a: 5}]", "variants: a must have knobs, as in {a: {<knob>: <value>}}, got 5"),
        ("sweep", "space.size=5", "space.size must have keys (key, low, high, log, integer, complement), got 5"),
        ("sweep", "space.size.low=abc", "space.size.low must be a number, got 'abc'"),
        ("sweep", "space.size.low=4.5", "space.size.low must be a whole number for model.hidden_size, got 4.5"),
        ("sweep", "space.size.log=maybe", "space.size.log must be true or false, got 'maybe'"),
        ("sweep", "space.size.integer=false", "space.size.integer must be true for model.hidden_size, got False"),
        ("sweep", "space.size.key=model.engine", "space.size.key must be that of a number, got 'model.engine'"),
        (
            "sweep",
            "space.keep_bias.key=variant.keepbias",
            "space.keep_bias.key must be a knob that a variant has, got 'variant.keepbias'; did you mean 'keep_bias'?",
        ),
        (
            "sweep",
            "space.keep_bias.key=variant.peepholes",
            "space.keep_bias.key must be that of a number, got 'variant.peepholes'",
        ),
        (
            "sweep",
            "variants=[vanilla,forget_bias_0]",
            "variant forget_bias_0 sets keep_bias=0.0, which the study searches in space.keep_bias; ~space.keep_bias ",
        ),
        ("sweep", "space.size.lo=3", "unknown key 'space.size.lo'; did you mean 'space.size.low'?"),
        (
            "sweep",
            "space={foo: {low: 1}}",
            "unknown hyperparameter 'foo'; the space has: learning_rate, size, keep_bias; '+space={",
        ),
        ("sweep", "+space.foo={low: 1}", "space.foo must have key, high, got "),
        ("sweep", "confirm=null", "confirm must have keys, as in confirm.<key>=<value>, got None"),
        ("sweep", "confirm={foo: 1}", "unknown key 'confirm.foo'; the keys are: blocks, "),
        ("sweep", "confirm.repeats=3", "confirm.repeats=3: is read with stage=confirm only, got stage=search"),
        ("sweep", "horizon={above: 3}", "horizon={above: 3}: is read with stage=horizon only, got stage=search"),
        (
            "sweep",
            "stage=confirm horizon.above=3",
            "horizon.above=3: is read with stage=horizon only, got stage=confirm",
        ),
        (
            "sweep",
            "stage=confrim",
            "stage must be one of search, confirm, horizon, got 'confrim'; did you mean 'confirm'?",
        ),
        (
            "sweep",
            "action=statsu",
            "action must be one of run, status, stop, retry, repair, export, restore, got 'statsu'; did you mean "
            "'status'?",
        ),
        (
            "sweep",
            "sampler=sobl",
            "sampler must be one of random, sobol, tpe, cmaes, got 'sobl'; did you mean 'sobol'?",
        ),
        (
            "sweep",
            "training.learning_rate=1e-3",
            "training.learning_rate=1e-3: the study searches it in space.learning_rate; ~",
        ),
        (
            "sweep",
            "model.hidden_size=20",
            "model.hidden_size=20: the study searches it in space.size; ~space.size takes ",
        ),
        ("sweep", "workers=2 worker=0", "workers=2: is not read where a launcher starts the workers, got worker=0"),
        ("sweep", "-m worker=x", "worker=x: Value 'x' "),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_write(command, arguments, line, monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    given = [arguments] if "{" in arguments or "[" in arguments else arguments.split()
    given = [
        *given,
        *(["study=smoke"] if command == "sweep" else []),
        *([] if "results=" in arguments else [f"results={tmp_path}"]),
    ]
    main = {"trial": runs_main.main, "sweep": sweep.main}[command]
    code, _, err = call(monkeypatch, capsys, main, command, *given)
    assert (code, len(err.splitlines())) == (2, 1), err
    assert err.startswith(f"error: {line}"), err


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "# @package _global_\nname: x\nvariants: [vanilla\n  tasks: {\n",
            "{file}, line 4: expected ',' or ']', but got ':'",
        ),
        (
            "# @package _global_\nname: x\n\ttasks: 3\n",
            "{file}, line 3: found character '\\t' that cannot start any token",
        ),
        ("# @package _global_\nname: x\nname: y\n", "{file}, line 3: found duplicate key name"),
        (
            "name: x\nvariants: [vanilla]\n",
            "study/mine.yaml: the first line must be '# @package _global_', without ",
        ),
        ("# @package _global_\nvariantz: [gru]\n", "study/mine.yaml: unknown key 'variantz'; did you mean 'variants'?"),
        (
            "# @package _global_\npoints: ten\n",
            "study/mine.yaml: points: Value 'ten' of type 'str' could not be converted to Integer",
        ),
        (
            "# @package _global_\ndefaults: [{override /training: smokke}]\n",
            "unknown training 'smokke'; did you mean 'smoke'?",
        ),
        (
            "# @package _global_\nname: x\nvariants: vanilla\n",
            "variants must be a list, as in [vanilla, gru], got 'vanilla'",
        ),
        (
            "# @package _global_\nname: x\nvariants: [vanilla]\ntasks: [adding]\n",
            "tasks must have keys, as in tasks.<key>=<value>, got ['adding']",
        ),
    ],
)
def test_a_mistake_in_a_file_is_one_line_with_file_and_line(text, line, monkeypatch, capsys, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study/mine.yaml").write_text(text)
    code, _, err = call(
        monkeypatch, capsys, sweep.main, "sweep", f"--config-dir={tmp_path}", "study=mine", f"results={tmp_path}"
    )
    assert (code, len(err.splitlines())) == (2, 1), err
    assert err.startswith("error: " + line.replace("{file}", str(tmp_path / "study/mine.yaml"))), err


# What is right, and was not possible
# ----------------------------------------------------------------------------------------------


def test_a_study_takes_tasks_of_ones_own_by_their_dotted_paths_with_knobs(composed, package):
    given = [
        "study=smoke",
        "+tasks.digits.task=own_package.Digits",
        "+tasks.short={task: own_package.Digits, lag: 5}",
        "~tasks.adding",
    ]
    design = design_from(composed("sweep", overrides=given))
    assert list(design.tasks) == ["delayed_recall", "digits", "short"]
    assert design.tasks["digits"] == {"_target_": "own_package.Digits", "label": "digits", "lag": 7, "noise": 0.5}
    assert design.tasks["short"]["lag"] == 5


def test_two_hyperparameters_may_not_set_the_same_option(composed):
    given = ["study=smoke", "+space.bias={key: variant.keep_bias, low: 0, high: 4}"]
    rule = "space.bias.key must be another one than that of space.keep_bias; ~space.keep_bias takes that one out"
    with pytest.raises(ValueError, match=f"{rule}, got 'variant.keep_bias'"):
        design_from(composed("sweep", overrides=given))


def test_a_study_takes_a_variant_with_knobs_under_a_name_of_its_own(composed):
    given = ["study=smoke", "variants=[vanilla,{zero: {variant: vanilla, keep_bias: 0.0}}]"]
    design = design_from(composed("sweep", overrides=given))
    assert design.variants["zero"] == {**design.variants["vanilla"], "label": "zero", "keep_bias": 0.0}


def test_a_class_of_ones_own_without_a_name_does_not_take_that_of_its_relative(package):
    assert variant_node("own_package.Leaky")["label"] == "Leaky"


def test_knobs_of_a_variant_of_ones_own_may_be_set_in_a_study(package):
    node = variant_node({"leaky": {"variant": "own_package.Leaky", "leak": 0.25}})
    assert node == {"_target_": "own_package.Leaky", "label": "leaky", "leak": 0.25, "keep_bias": 0.0}


def test_a_knob_that_is_set_for_a_replaced_class_counts_even_where_it_is_the_default_of_the_old_one(composed, package):
    given = ["variant._target_=own_package.Leaky", "variant.keep_bias=1.0"]
    trial = trial_from(composed("trial", overrides=given), {"variant": "vanilla"}, given)
    assert trial.variant["keep_bias"] == 1.0


def test_an_argument_that_asks_for_fewer_points_than_there_are_is_told(composed):
    three = Search(design_from(composed("sweep", overrides=["study=smoke"])))
    two = Search(design_from(composed("sweep", overrides=["study=smoke", "points=2"])))
    assert notes(two, three, {"points": "points=2"}) == ["points=2: the study has 3 points and keeps them"]
    assert notes(two, three, {}) == []  # a preset that was extended since
    assert notes(three, two, {"points": "points=3"}) == []


def test_a_searched_momentum_that_adam_does_not_read_is_told(composed):
    search = Search(design_from(composed("sweep", overrides=["study=smoke", "space=greff"])))
    assert notes(search, search, {}) == [
        "space.momentum: training.momentum is read with training.optimiser=nesterov only, got adam"
    ]


def test_a_study_that_is_not_there_is_answered_with_the_nearest_that_is(tmp_path):
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick/journal.log").touch()
    with pytest.raises(ValueError, match=f"study 'quik' has not been started in {tmp_path}; did you mean 'quick'?"):
        opened("", tmp_path / "quik", "quik")


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("runs.inside", ["study=quik"]),
        ("runs.tracking", ["study=quik"]),
        ("analysis.__main__", ["study=quik"]),
        ("analysis.__main__", ["study=quick", "compare=quik"]),
        ("analysis.__main__", ["from=quik"]),
        ("analysis.notebooks.__main__", ["study=quik"]),
    ],
)
def test_every_command_answers_a_study_that_is_not_there_with_the_nearest(module, arguments, tmp_path, capsys):
    (tmp_path / "quick").mkdir()
    for name in ("journal.log", "trials.parquet"):
        (tmp_path / "quick" / name).touch()
    assert import_module(module).main([*arguments, f"results={tmp_path}"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: there is no " if "study" not in line else "error: ")
    assert "did you mean 'quick'?" in line


def test_a_notebook_that_is_not_there_is_answered_with_the_nearest(tmp_path, capsys):
    from analysis.notebooks.__main__ import main

    assert main(["only=overviw", f"results={tmp_path}"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown notebook 'overviw'; did you mean 'overview'? There is: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["storage=postgrs"], "storage must be postgres or a URL, got 'postgrs'; did you mean 'postgres'?"),
        (
            ["tracking=serer"],
            "tracking must be one of server, default, none or a URI, got 'serer'; did you mean 'server'?",
        ),
        (["tracking=none"], "tracking=none: this command only writes to MLflow"),
    ],
)
def test_a_word_that_stands_for_no_place_is_refused_before_anything_is_written(arguments, said, tmp_path, capsys):
    from runs.study.plan import Search
    from runs.study.storage.opening import open_storage
    from runs.study.study import Study
    from runs.tracking import main
    from tests.runs.conftest import make_design

    Study.create(open_storage("", tmp_path / "study"), Search(make_design()), {})
    before = sorted(tmp_path.rglob("*"))
    assert main(["study=study", f"results={tmp_path}", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["study=a", "study=b"], "study=b: study is given twice, first as 'a'"),
        (["study="], "study must be 1 to 64 letters"),
        (["study=a", "search=maybe"], "search must be yes or not given, got 'maybe'"),
        (["study=a", "figures=some"], "figures must be all or not given, got 'some'"),
    ],
)
def test_an_argument_of_the_analysis_that_would_be_ignored_is_refused(arguments, said, capsys):
    from analysis.__main__ import main

    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_an_argument_of_a_small_command_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown key 'stduy'; did you mean 'study'[?] The keys are: study, results"):
        key_values(["stduy=quick"], {"study": "", "results": ""}, "")


def test_every_space_in_the_presets_is_of_dimensions(composed):
    for space in early.choices("space"):
        nodes = plain(composed("sweep", overrides=["study=smoke", f"space={space}"]).space)
        assert all(isinstance(dimension(name, node), Dimension) for name, node in nodes.items())


# Help
# ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [*early.PARTS.values(), *map(early.schema, early.COMMANDS)], ids=str)
def test_every_key_is_explained_by_the_docstring_of_its_class(place):
    keys = source.keys_in_source(*place)
    assert set(manual.explained(keys.docstring, keys.fields)) == set(keys.fields)


@pytest.mark.parametrize("command", early.COMMANDS)
def test_help_explains_the_keys_and_lists_the_groups_that_the_command_has(monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "100")
    text = manual.manual(command)
    listed = text.partition("(group=choice):\n")[2].partition("\n\nKeys ")[0]
    names = {line.split()[0] for line in listed.splitlines() if line[:3].strip() and not line.startswith("   ")}
    assert names == {group for group in early.groups(command) if len(early.choices(group)) > 1}
    assert "training.clip_norm             largest norm of the gradient, 0 for no clipping." in text


def test_the_option_that_help_names_shows_the_values_that_the_arguments_make(monkeypatch, capsys):
    assert "--cfg job" in manual.manual("trial")
    _, out, _ = call(monkeypatch, capsys, runs_main.main, "trial", "--cfg", "job", "task=copying", "task.length=7")
    assert "  length: 7\n" in out
