"""Data for tasks: finding and parsing what others published, keeping it on disk, and fitting simple models to it."""
