"""This project's program on the node: what is there, what runs, and the few things that are done about it.

It is sent with each command, so that nothing of it lies there (`action_plugins/on_node.py`), runs on Python 3.8, and
needs the standard library alone. `main` has its commands.
"""
