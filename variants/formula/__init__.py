"""A cell from its equations: they are read, run, written again, and turned into a class of Python."""
