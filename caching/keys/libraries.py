"""Tell project code, which is analysed, from library code, which counts by its version."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import xxhash

STANDARD_FOLDER = os.path.dirname(os.__file__) + os.sep
_ROOT = str(Path(__file__).absolute().parents[2])
# The toolkit itself, where it runs from a checkout: a library whose files are its version.
_TOOLKIT = tuple(os.path.join(_ROOT, name) + os.sep for name in ("caching", "loaders", "cli"))
_SITE_NAMES = ("site-packages", "dist-packages")

# Their `__version__` is that of their distribution.
_TELL_THEIR_VERSION = frozenset({"pandas", "pyarrow", "numpy", "polars"})

PROJECT = ""
STANDARD = "python"


def library_of_module(module: ModuleType | str) -> str:
    """Return the top-level name of the library a module belongs to, "python", or "" where it is the project's.

    >>> library_of_module(os), library_of_module("click.core")
    ('python', 'click')
    """
    if isinstance(module, str):
        loaded = sys.modules.get(module)
        if loaded is None:
            return _library_of_unloaded(module)
        module = loaded
    attributes = vars(module)
    name = attributes.get("__name__")
    return library_of_globals(attributes) if isinstance(name, str) else PROJECT


def library_of_globals(attributes: dict[str, Any]) -> str:
    """Return the same for the globals of a function."""
    name = attributes.get("__name__")
    top = name.partition(".")[0] if isinstance(name, str) else ""
    if top == "__main__":
        return PROJECT
    file = attributes.get("__file__")
    if isinstance(file, str):
        return library_of_file(file, top)
    if top in sys.stdlib_module_names:
        return STANDARD
    # A namespace package has no file, only folders; what was made by hand (a notebook, types.ModuleType) has
    # neither.
    for folder in getattr(attributes.get("__path__"), "_path", None) or ():
        return library_of_file(os.path.join(folder, ""), top)
    return PROJECT


def library_of_file(file: str, top: str) -> str:
    """Return the same for a file of code, whose module's top-level name is known."""
    if file.startswith(site_folders()):
        return top
    if file.startswith(STANDARD_FOLDER) or file.startswith("<frozen"):
        return STANDARD
    return "sourceswap" if file.startswith(_TOOLKIT) else PROJECT


def is_of_library(place: str) -> bool:
    """Return whether a file, by its absolute path, came with Python or with an installed package."""
    return "__pycache__" in place or place.startswith((STANDARD_FOLDER, *site_folders()))


def site_folders() -> tuple[str, ...]:
    """Return the folders that installed packages lie in."""
    return _site_folders(tuple(sys.path))


@cache
def _site_folders(path: tuple[str, ...]) -> tuple[str, ...]:
    # By sys.path, not by a folder's name anywhere above: a project may well lie under a folder of that name.
    return tuple(
        entry.rstrip(os.sep) + os.sep for entry in path if os.path.basename(entry.rstrip(os.sep)) in _SITE_NAMES
    )


def _library_of_unloaded(module: str) -> str:
    from importlib.util import find_spec

    top = module.partition(".")[0]
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return PROJECT
    if spec is None or spec.origin is None:
        folders = list(getattr(spec, "submodule_search_locations", None) or ())
        return library_of_file(os.path.join(folders[0], ""), top) if folders else PROJECT
    if spec.origin in ("built-in", "frozen"):
        return STANDARD
    return library_of_file(spec.origin, top)


@cache
def version_of_library(top: str) -> str:
    """Distribution and version of a library's top-level package; without one, a digest of its files.

    >>> version_of_library("click").startswith("click ")
    True
    """
    if top == STANDARD:
        return f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"
    if top == "sourceswap":
        return "files " + _digest_of_files(*_TOOLKIT)
    if top in _TELL_THEIR_VERSION and top in sys.modules:
        # What is loaded counts, should the disk hold another one by now.
        return _loaded_version(top)
    for entry in sys.path:
        place = os.path.join(entry, top)
        if os.path.isdir(place) or any(os.path.exists(place + suffix) for suffix in (".py", ".so", ".pyd")):
            owners = _owners(entry, top)
            if owners:
                return ", ".join(owners)
            return _loaded_version(top) or "files " + _digest_of_files(place, place + ".py")
    owners = [owner for folder in site_folders() for owner in _owners(folder, top)]  # compiled: _x.cpython-311.so
    return ", ".join(owners) or _loaded_version(top) or "absent"


def installed_distributions() -> str:
    """Return a digest of all installed distributions: names, versions and entry points."""
    places = sorted(place for entry in sys.path for place in _distributions(entry).values())
    total = xxhash.xxh3_128()
    for place in places:
        total.update(os.path.basename(place).encode("utf-8", "surrogatepass") + b"\0")
        total.update(_read(os.path.join(place, "entry_points.txt")))
    return str(total.hexdigest())


def _loaded_version(top: str) -> str:
    version = vars(sys.modules[top]).get("__version__") if top in sys.modules else None
    if not isinstance(version, str):
        return ""
    places = [folder[_normal(top)] for folder in map(_distributions, site_folders()) if _normal(top) in folder]
    return f"{top} {version}{_digest_of_code(places[:1])}"


def _owners(folder: str, top: str) -> list[str]:
    distributions = _distributions(folder)
    direct = distributions.get(_normal(top))
    if direct is not None and os.path.isfile(os.path.join(folder, top, "__init__.py")):
        return [_name_and_version(direct) + _digest_of_code([direct])]
    line = f"{top}/".encode(), f"{top}.".encode()
    owners = []
    for place in distributions.values():
        record = _read(os.path.join(place, "RECORD")) or _read(os.path.join(place, "top_level.txt"))
        if record.startswith(line) or any(b"\n" + start in record for start in line) or record.strip() == top.encode():
            owners.append(_name_and_version(place) + _digest_of_code([place]))
    return sorted(owners) or ([_name_and_version(direct) + _digest_of_code([direct])] if direct is not None else [])


def _digest_of_code(places: list[str]) -> str:
    """Return a digest of what a version does not tell: the files of a distribution, and what it requires.

    `RECORD` lists the files with their hashes (the "Recording installed projects" specification); scripts and compiled
    files differ between machines and do not count.
    """
    known: dict[str, None] = {}
    waiting = list(places)
    while waiting:
        place = waiting.pop()
        if place not in known:
            known[place] = None
            folder = _distributions(os.path.dirname(place))
            waiting += [folder[name] for name in _requirements(place) if name in folder]
    lines = sorted(os.path.basename(place).encode() for place in known if place not in places)
    for place in places:
        if _normal(os.path.basename(place).partition("-")[0]) in _TELL_THEIR_VERSION:
            continue  # their lists of files are long, and every new process would read them
        record = _read(os.path.join(place, "RECORD")).splitlines()
        lines += [
            line for line in record if b",sha256=" in line and not line.startswith(b"..") and b".dist-info/" not in line
        ]
    found = xxhash.xxh3_64_hexdigest(b"\n".join(lines))
    return f" +{found[:8]}" if lines else ""


def _requirements(place: str) -> list[str]:
    text = _read(os.path.join(place, "METADATA")).partition(b"\n\n")[0]
    found = re.findall(rb"^Requires-Dist: *([\w.-]+)(?!.*extra *==)", text, re.MULTILINE)
    return [_normal(name.decode()) for name in found]


@cache
def _distributions(folder: str) -> dict[str, str]:
    try:
        names = sorted(os.listdir(folder or "."))
    except OSError:
        return {}
    found = {}
    for name in names:
        stem, _, kind = name.rpartition(".")
        if kind in ("dist-info", "egg-info"):
            found[_normal(stem.partition("-")[0])] = os.path.join(folder, name)
    return found


def _name_and_version(place: str) -> str:
    text = _read(os.path.join(place, "METADATA")) or _read(os.path.join(place, "PKG-INFO")) or _read(place)
    fields = dict(re.findall(rb"^(Name|Version): *(\S+)", text[:4096], re.MULTILINE))
    if b"Version" in fields:
        return b" ".join((fields.get(b"Name", b"?"), fields[b"Version"])).decode(errors="replace")
    return os.path.basename(place)


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _digest_of_files(*places: str) -> str:
    total = xxhash.xxh3_128()
    for place in places:
        files = [Path(place)] if os.path.isfile(place) else sorted(Path(place).rglob("*.py"))
        for file in files:
            total.update(file.name.encode() + b"\0" + xxhash.xxh3_128_digest(_read(str(file))))
    return str(total.hexdigest())
