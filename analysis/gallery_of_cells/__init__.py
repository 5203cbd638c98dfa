"""The gallery of cells: one page with every cell of the registry, drawn, in equations, and what studies found."""
