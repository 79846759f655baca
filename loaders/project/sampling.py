"""Take a small sample of datasets that includes the rows they refer to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from loaders.contract import DatasetContract
from loaders.generation.references import node_name, split_reference

Method = Literal["first", "random", "key"]


def sample_frames(
    frames: Mapping[str, pd.DataFrame],
    contracts: Mapping[str, DatasetContract],
    rows: int,
    method: Method = "first",
    seed: int = 0,
) -> dict[str, pd.DataFrame]:
    """Return at most `rows` rows of each frame, in their order.

    "first" takes the first rows, "random" a random choice by `seed`. "key" takes the first rows of datasets that no
    other refers to, and exactly the referenced rows of the other datasets, so that references still join; these may be
    more than `rows`.
    """
    sampled: dict[str, pd.DataFrame] = {}
    for name in _referring_first(contracts) if method == "key" else list(frames):
        if name not in frames:
            continue
        frame = frames[name]
        wanted = _referred_rows(name, frame, sampled, contracts) if method == "key" else None
        if wanted is not None:
            chosen = frame[wanted]
        elif method == "random" and len(frame) > rows:
            positions = np.random.default_rng(seed).choice(len(frame), rows, replace=False)
            chosen = frame.iloc[np.sort(positions)]
        else:
            chosen = frame.head(rows)
        sampled[name] = chosen.reset_index(drop=True)
    return sampled


def _referring_first(contracts: Mapping[str, DatasetContract]) -> list[str]:
    """Return datasets so that each comes after the datasets that refer to it; cycles come last."""
    waiting = dict(contracts)
    ordered: list[str] = []
    while waiting:
        referred = {target.partition(".")[0] for c in waiting.values() for target in c.references.values()}
        free = [name for name in waiting if name not in referred] or list(waiting)
        ordered += free
        for name in free:
            del waiting[name]
    return ordered


def _referred_rows(
    name: str,
    frame: pd.DataFrame,
    sampled: Mapping[str, pd.DataFrame],
    contracts: Mapping[str, DatasetContract],
) -> pd.Series | None:
    """Return the rows that the samples refer to; None if no sample refers to this dataset."""
    wanted: pd.Series | None = None
    for other, sample in sampled.items():
        for column in contracts[other].references:
            dataset, referred = split_reference(contracts[other], column)
            if dataset == name:
                found = frame[node_name(contracts[name], referred)].isin(sample[column].dropna())
                wanted = found if wanted is None else wanted | found
    return wanted
