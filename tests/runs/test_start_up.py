"""What a worker and a single trial do not wait for."""

import subprocess
import sys

from tests.test_house import ROOT


def python(code, *arguments, path=ROOT):
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{path}:{ROOT}", "HOME": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, env=environment
    )
    return done.returncode, done.stdout, done.stderr


def test_a_worker_does_not_import_what_only_its_parent_needs():
    code = (
        "import gc, runpy, sys; runpy.run_module('runs.sweep', run_name='__mp_main__', alter_sys=True)\n"
        "assert gc.isenabled() and 'runs.workers.worker' in sys.modules\n"
        "print({'hydra', 'omegaconf', 'mlflow', 'pandas', 'sympy', 'matplotlib', 'sklearn'} & {*sys.modules})"
    )
    assert python(code) == (0, "set()\n", "")


def test_a_network_is_built_without_sympy():
    code = (
        "import sys; from runs.networks.building import untrained; from runs.trial.trial import Trial\n"
        "parts = dict(variant='variants.Vanilla', task='tasks.Adding', initialisation='variants.GlorotOrthogonal')\n"
        "untrained(Trial(**{part: {'_target_': name, 'label': part} for part, name in parts.items()}))\n"
        "print('sympy' in sys.modules)"
    )
    assert python(code) == (0, "False\n", "")


def test_the_result_of_a_single_trial_is_out_before_mlflow_is_imported(tmp_path):
    (tmp_path / "mlflow.py").write_text("import os\nos._exit(7)\n")
    code = "import runpy; runpy.run_module('runs', run_name='__main__', alter_sys=True)"
    tiny = ["training.budget=2", "training.evaluation_sequences=8", "model.hidden_size=4", "task.lag=5"]
    status, out, _ = python(code, *tiny, f"results={tmp_path / 'results'}", path=tmp_path)
    begun = [line.partition(":")[0] for line in out.splitlines() if not line.startswith(" ")]
    assert (status, begun) == (7, ["vanilla on adding", "outcome"])


def test_a_single_trial_whose_mlflow_fails_says_so_and_keeps_its_exit_code(tmp_path):
    (tmp_path / "mlflow.py").write_text("raise RuntimeError('away')\n")
    code = "import runpy; runpy.run_module('runs', run_name='__main__', alter_sys=True)"
    tiny = ["training.budget=2", "training.evaluation_sequences=8", "model.hidden_size=4", "task.lag=5"]
    status, _, err = python(code, *tiny, f"results={tmp_path / 'results'}", path=tmp_path)
    assert status == 0
    assert [line for line in err.splitlines() if line.startswith("mlflow: not written, ") and "away" in line]
