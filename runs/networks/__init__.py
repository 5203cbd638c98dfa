"""What stands around the recurrent layers of a trial: networks, registered by name (`Network.registry["reader"]`)."""

from __future__ import annotations

from .attention import Attention
from .draw import Draw
from .network import Network
from .reader import Reader
from .storn import Storn
from .vrnn import Vrnn

__all__ = ["Attention", "Draw", "Network", "Reader", "Storn", "Vrnn"]
