"""`python -m caching`: the commands of `sourceswap cache`."""

from caching.commands import cache

if __name__ == "__main__":
    cache(prog_name="python -m caching")
