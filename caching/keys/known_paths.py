"""Paths among the constants of a function: literals, globals, and one joined to another.

Not every read can be observed: readers in native code open files unseen. So a path that the code knows is looked at as
if it were an argument.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

_FILE_NAME = re.compile(r"[^\0\n*?<>|]*\.\w{1,12}")
_WORD = re.compile(r"[\w./~ -]+")
_MOST = 256  # each costs a microsecond, once a run
_LONGEST = 256
_CODE = (".py", ".pyc", ".pyi")


@dataclass(frozen=True)
class KnownPaths:
    """Paths among the constants of a function, sorted into files and folders."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    absolute: tuple[str, ...]

    @classmethod
    def among(cls, texts: Iterable[str]) -> KnownPaths:
        """Sort the texts among a function's constants; a Path ends with a separator."""
        files, folders, absolute = [], [], []
        for text in sorted(text for text in texts if len(text) < _LONGEST and "\n" not in text):
            plain = text.rstrip(os.sep) or os.sep
            if os.path.isabs(text) and len(plain) > 1:
                absolute.append(plain)
            if plain.endswith(_CODE):
                folders.append(os.path.dirname(plain))
                continue
            if text.endswith(os.sep) or os.sep in text:
                folders.append(plain)
            if _FILE_NAME.fullmatch(plain) or (os.sep in text and _WORD.fullmatch(plain)):
                files.append(plain)
        return cls(tuple(files), tuple(dict.fromkeys(folders)), tuple(absolute))

    def candidates(self, folders: Iterable[str] = ()) -> Iterator[str]:
        """Yield files that the function may use: those it names, also below the folders it names or is given."""
        for path in islice(self._joined([*self.folders, *folders]), _MOST):
            if os.path.isfile(path):
                yield path

    def _joined(self, folders: list[str]) -> Iterator[str]:
        yield from self.files
        for folder in folders:
            for file in self.files:
                if file != folder:
                    yield os.path.join(folder, file.lstrip(os.sep))
