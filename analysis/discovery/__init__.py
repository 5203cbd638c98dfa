"""The page of a search for cells: what was found, how sure that is, and how it came about."""
