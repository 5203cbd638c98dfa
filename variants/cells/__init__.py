"""The cells, one paper or family a file. Every module of this folder is imported, so that its cells register."""

import importlib
import pkgutil

from . import lstm as lstm  # first, since lists of cells begin with the plain LSTM

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
