"""File formats: parse the bytes of a file to a typed Arrow table."""
