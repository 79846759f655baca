"""The YAML files of a configuration folder."""

from __future__ import annotations

from pathlib import Path

from loaders.errors import ConfigError

_SUFFIXES = (".yaml", ".yml")


def environment_files(folder: Path) -> list[Path]:
    """Return the sorted YAML files of a folder, without hidden ones.

    A hidden file is an editor's lock (`.#prod.yaml`), a copy of macOS's (`._prod.yaml`), or one put aside.
    """
    listed = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in listed if path.suffix in _SUFFIXES and not path.name.startswith("."))


def file_of(env: str, folder: Path) -> Path | None:
    """Return the file of an environment or a base; None if there is none.

    Raises ConfigError where there are two, of which only one would be read.
    """
    found = [folder / f"{env}{suffix}" for suffix in _SUFFIXES if (folder / f"{env}{suffix}").is_file()]
    if len(found) > 1:
        names = " and ".join(f"'{path.name}'" for path in found)
        raise ConfigError(f"{found[1]}: the folder holds {names}, which are one environment. Keep one of them.")
    return found[0] if found else None
