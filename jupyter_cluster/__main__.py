"""`python -m jupyter_cluster`, which is what the program `jupyter-cluster` runs."""

from jupyter_cluster.command import main

main()
