"""Look at the head or footer of a file, to hold it against a contract or to draft one, without loading the data."""
