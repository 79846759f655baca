"""A real S3 server on this machine, for tests and for running each environment without an account."""
