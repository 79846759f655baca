"""Dataset contracts: the public class, its drafts from files, its text forms and its comparison."""

from loaders.contract.dataset_contract import DatasetContract
from loaders.schema import Check, FormatOptions

__all__ = ["Check", "DatasetContract", "FormatOptions"]
