"""A search for recurrent cells: candidates are graphs, which are mutated, checked, and run as equations."""
