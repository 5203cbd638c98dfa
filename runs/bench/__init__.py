"""The benchmark of speed: `python -m runs.bench`."""
