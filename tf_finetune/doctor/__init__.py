"""Why does it not work here: each thing that breaks in practice looked at, with the command that mends it.

It runs where packages are missing or broken: this process imports the standard library alone. Everything else is tried
in a process of its own, so that no crash and no hang of it is ours.
"""
