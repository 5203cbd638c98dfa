"""The trial of some `key=value` words, for commands that need one beside arguments of their own."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import open_dict

from ..console.early import CONF, mistake
from ..trial.trial import Trial
from .equations import quoted
from .mistakes import MISTAKES, one_line
from .schema import register, registered
from .trial import trial_from


def composed_trial(words: Sequence[str]) -> Trial:
    """Return the trial that `python -m runs` would run with these words.

    words: such as `variant=gru` and `task.lag=10`.

    Raises ValueError, one line, where `python -m runs` would refuse them.
    """
    register()
    words = quoted(words)
    line = mistake("trial", words, registered())
    if line:
        raise ValueError(line)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("trial", overrides=list(words), return_hydra_config=True)
        choices, overrides = config.hydra.runtime.choices, list(config.hydra.overrides.task)
        with open_dict(config):
            del config["hydra"]
        return trial_from(config, choices, overrides)
    except MISTAKES as error:
        raise ValueError(one_line(error, words)) from None
