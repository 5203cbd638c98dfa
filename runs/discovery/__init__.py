"""The search for cells: candidates are equations, which mutate, compete with the GRU and are compared with chance."""
