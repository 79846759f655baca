"""Create a project, and sample its data."""
