"""What all commands share at the shell.

It needs the standard library only, so that a mistyped name is answered before torch is imported.
"""
