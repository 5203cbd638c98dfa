"""Tasks on real sequences, one definition a file.

Every module of this folder is imported, so that its tasks register.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
