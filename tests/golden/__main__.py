"""`python -m tests.golden` writes the golden numbers of all variants, `python -m tests.golden gru` those of one."""

import sys

from tests.golden import cells
from variants import Cell

for name in sys.argv[1:] or [n for n, cls in Cell.registry.items() if not cls.control]:
    cells.write(name)
