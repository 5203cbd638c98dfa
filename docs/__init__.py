"""The pages of the documentation; those that follow from the code are written by `python -m docs`."""
