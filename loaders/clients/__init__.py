"""Clients: the bytes of one version of an object, from S3, web servers, local files and fsspec file systems."""
