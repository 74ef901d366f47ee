"""The command `jupyter-cluster`: the playbooks, from any directory, in words of their own."""

#: The release; pyproject.toml takes it from here.
__version__ = "0.1.0"
