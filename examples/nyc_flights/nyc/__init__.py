"""Flights that left New York in 2013: contracts, loader modules and a dataflow."""
