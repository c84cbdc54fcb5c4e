"""`python -m imageryclient`: the command line."""

from .cli import main

main(prog_name="imageryclient")
