"""A node of the configuration for commands that are no Hydra program: a variant with its knobs, or a preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from variants import Cell

from ..console.early import CONF
from ..console.known import unknown
from .equations import TEXTS
from .nodes import node_from
from .schema import register


def presets() -> list[str]:
    """Return the names of the presets of variants, in alphabetical order."""
    return sorted(path.stem for path in (CONF / "variant").glob("*.yaml"))


def variant_of(choice: str, knobs: Mapping[str, str], key: str = "variant") -> dict[str, Any]:
    """Return the configuration node of a variant that a command line names.

    choice: a registered name, a preset, or the dotted path of a class of your own, which may then be imported.
    knobs: by name what was written for them, such as `[i,f]`.
    key: of the argument that names the variant, for messages.

    Raises ValueError for a choice or a knob that does not exist, and for a value that the knob does not take.
    """
    names = [*Cell.registry, *presets()]
    if "." not in choice and choice not in names:
        raise ValueError(unknown("variant", choice, names))
    given: dict[str, Any] = {}
    for knob, written in knobs.items():
        if knob in TEXTS:
            given[knob] = written
            continue
        try:
            read = OmegaConf.from_dotlist([f"value={written}"])
            given[knob] = OmegaConf.to_container(read, resolve=True)["value"]  # type: ignore
        except Exception:  # of YAML and of OmegaConf
            raise ValueError(f"{key}.{knob} must be a value or a list such as [i,f], got {written!r}") from None
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return node_from("variant", choice, given, None if "." in choice else choice)
