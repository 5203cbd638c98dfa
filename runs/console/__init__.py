"""What all commands have in common at the shell; nothing here imports torch, so that a mistyped name is answered at
once.
"""
