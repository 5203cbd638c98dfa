"""What stands around the recurrent layers of a trial: networks, registered by name (`Network.registry["reader"]`)."""

from __future__ import annotations

from .network import Network
from .reader import Reader

__all__ = ["Network", "Reader"]
