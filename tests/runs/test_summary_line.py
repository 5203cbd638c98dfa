"""The line that `python -m runs` ends with says how a trial went, whatever its end."""

import pytest

from runs.__main__ import summary
from runs.trial.trial import Outcome, Trial

SAID = {"solved_loss": 0.1, "floor": 2.0, "reference": None, "unit": "nats", "unit_scale": 1.0}
TUNES = SAID | {"solved_loss": None, "reference": 1.0, "unit": "bits", "unit_scale": 2.0}
NODE = {"_target_": "", "label": "x"}
TRIAL = Trial(variant={"_target_": "", "label": "gru"}, task=NODE, initialisation=NODE)


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (
            {"status": "solved", "solved_step": 5, "test_loss": 0.25},
            "gru on x: solved at step 5; test loss 0.25 nats (without memory 2); score",
        ),
        (
            {"status": "finished", "test_loss": 1.5},
            "not solved in 7 steps; test loss 1.5 nats (without memory 2); score",
        ),
        (
            {"status": "diverged"},
            "diverged at step 7; test loss none (without memory 2)",
        ),  # at the first look: no curve
        (
            {"status": "exploded", "curve_losses": (1.0, 90.0), "test_loss": 1.0},
            "exploded, with 90 nats after 7 steps; test loss 1 nats",
        ),
        (
            {"status": "finished", "task": TUNES, "epochs": 3.0, "test_loss": 1.5},
            "trained for 3 epochs, 7 steps; test loss 3 bits (without memory 4, reference 2)",
        ),
    ],
)
def test_every_end_of_a_trial_is_said_in_the_unit_of_its_task(outcome, says):
    assert says in summary(TRIAL, Outcome(**{"steps": 7, "task": SAID} | outcome))
