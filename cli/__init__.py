"""The command line of sourceswap."""
