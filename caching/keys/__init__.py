"""The key of a call, from its arguments, the reachable code, the environment and the library versions."""
