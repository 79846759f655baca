"""The folder of a cache: entry files, locks, eviction and statistics."""
