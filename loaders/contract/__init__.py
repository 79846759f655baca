"""What a dataset is: the contract, and what can be made of it."""

from loaders.contract.dataset_contract import Check, DatasetContract

__all__ = ["Check", "DatasetContract"]
