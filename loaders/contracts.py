"""The contracts of the sample project's datasets.

Adding a dataset: declare its contract here, list it in `CONTRACTS`, and give each loader module one function of its
name.
"""

from __future__ import annotations

import pyarrow as pa

from loaders.contract import Check, DatasetContract

__all__ = ["CONTRACTS", "MARKETING_SPEND", "Check", "DatasetContract"]

MARKETING_SPEND = DatasetContract(
    "marketing_spend",
    pa.schema(
        [
            pa.field("week", pa.date32(), nullable=False),
            pa.field("spend", pa.float64()),
            pa.field("signups", pa.int64()),
        ]
    ),
    key=("week",),
    description="Marketing spend and signups; one row per week.",
    checks={"spend": Check(minimum=0), "signups": Check(minimum=0)},
)

CONTRACTS = {contract.name: contract for contract in (MARKETING_SPEND,)}
