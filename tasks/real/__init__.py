"""Tasks on data that were recorded or written by people, one data set a file.

Every module of this folder is imported, so that its tasks register; the data are read when a task is constructed.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
