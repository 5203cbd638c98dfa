"""One trial: its description, its training and its outcome."""
