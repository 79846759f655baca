"""A real S3 server on this machine, for tests and for running any environment without an account."""
