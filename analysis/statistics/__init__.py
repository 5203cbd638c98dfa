"""Estimates, intervals and tests, from arrays of numbers alone."""
