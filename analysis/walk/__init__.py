"""The walk: every number of a cell over one sequence, forward and backward, on its diagram."""
