"""Projects of the user's own: their scaffold, and samples of their data."""
