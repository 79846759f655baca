"""A real S3 on this machine, for tests and to run every environment without an account."""
