"""Pages of prose in which every number is computed from the shipped archives."""
