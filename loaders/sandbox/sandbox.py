"""The sandbox: a local S3 server that holds a project's sample data where its environments expect it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from loaders.config.environment import environments, load_config
from loaders.config.storage import SANDBOX_VARIABLE
from loaders.driver import plan
from loaders.errors import ConfigError
from loaders.names import quoted
from loaders.planning.plan import Plan
from loaders.project.sample_data import Target, left_out, load_frames, targets
from loaders.sandbox.s3_server import S3Server


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox: its variables, the written locations and the omitted datasets by environment."""

    variables: Mapping[str, str]
    filled: Mapping[str, list[str]]
    left_out: Mapping[str, Mapping[str, str]]


@contextmanager
def open_sandbox(configs: str | os.PathLike[str], sample_env: str = "local") -> Iterator[Sandbox]:
    """Run an S3 server that holds, for each environment with s3:// locations, the data of `sample_env`.

    Raises ConfigError if the sample environment or its data is missing. All data is removed at the end of the block.
    """
    known = environments(configs)
    if sample_env not in known:
        raise ConfigError(
            f"The sandbox copies environment '{sample_env}', which does not exist. Known: {quoted(known)}."
        )
    with S3Server() as server:
        plans = {env: plan(load_config(env, configs)) for env in known if env != sample_env}
        wanted = {env: list(targets(planned, "s3")) for env, planned in plans.items()}
        sample = plan(load_config(sample_env, configs))
        offered = {dataset.name for dataset in sample.datasets}
        names = sorted({target.dataset.name for found in wanted.values() for target in found} & offered)
        frames = load_frames(sample, names) if names else {}
        filled = {env: _fill(server, found, frames) for env, found in wanted.items() if found}
        missing = {env: left_out(planned, "s3") | _unknown(wanted[env], sample) for env, planned in plans.items()}
        variables = {**server.environment(), SANDBOX_VARIABLE: server.endpoint_url}
        yield Sandbox(variables, filled, missing)


def _unknown(found: list[Target], sample: Plan) -> dict[str, str]:
    offered = {dataset.name for dataset in sample.datasets}
    reason = f"environment '{sample.config.env}' has no dataset of this name"
    return {target.dataset.name: reason for target in found if target.dataset.name not in offered}


def _fill(server: S3Server, found: list[Target], frames: Mapping[str, Any]) -> list[str]:
    written = []
    client = server.client()
    for target in found:
        if target.dataset.name not in frames:
            continue
        bucket, _, key = target.path.partition("/")
        _create_bucket(client, bucket)
        server.write(bucket, key, target.encoded(frames[target.dataset.name]))
        written.append(target.written)
    return written


def _create_bucket(client: Any, bucket: str) -> None:
    from botocore.exceptions import ClientError

    try:
        client.create_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyExists", "BucketAlreadyOwnedByYou"):
            raise ConfigError(f"Bucket '{bucket}' cannot be created in the sandbox: {error}.") from None
