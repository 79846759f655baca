"""Dataset contracts: the public class, inference from files, YAML and ODCS, and comparison."""

from loaders.contract.dataset_contract import DatasetContract
from loaders.schema import Check, FormatOptions

__all__ = ["Check", "DatasetContract", "FormatOptions"]
