"""Environments: the YAML files of a project, resolved to the configuration of one run."""

from loaders.config.environment import Config, load_config

__all__ = ["Config", "load_config"]
