"""How S3 is reached: the settings of the environment that runs. None of them is a secret.

Credentials come from the AWS chain (environment variables, profile, instance role), never from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class StorageSettings:
    """Endpoint, account and patience of an environment's object store; times in seconds.

    What is None is left to the AWS chain: `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_PROFILE`.
    """

    # Configuration files are validated against this class; an unknown key is an error there.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    anonymous: bool = False
    connect_timeout_seconds: float = 5.0
    stall_timeout_seconds: float = 10.0
    deadline_seconds: float = 300.0
    attempts: int = 5


_active: ContextVar[StorageSettings | None] = ContextVar("sourceswap_storage", default=None)


def active_storage() -> StorageSettings:
    """Return the settings of the environment that runs, the defaults outside of one."""
    return _active.get() or StorageSettings()


@contextmanager
def use_storage(settings: StorageSettings) -> Iterator[None]:
    """Make the settings the active ones for reads in this context."""
    token = _active.set(settings)
    try:
        yield
    finally:
        _active.reset(token)
