"""Data made from contracts: examples by seed, and strategies for hypothesis."""
