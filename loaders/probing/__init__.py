"""Probe files: read the head or footer of a file to check or infer a contract, without loading the data."""
