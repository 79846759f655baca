"""Data generated from contracts: examples by seed, and strategies for hypothesis."""
