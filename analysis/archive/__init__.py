"""The archives that are shipped with the project, beside the command that makes and lists them."""
