"""Compare the data of one dataset in two environments, and show the difference."""
