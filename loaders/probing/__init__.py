"""Probe a file: compare its head or footer with a contract, or draft one, without loading the data."""
