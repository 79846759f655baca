"""`python -m cli`: the command `sourceswap`."""

from cli.main import main

main(prog_name="sourceswap")
