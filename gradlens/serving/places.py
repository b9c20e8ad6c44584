"""Which paths a client may name: files and folders of this machine, of one folder if that was said, and nothing else."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradlens.errors import SourceError, UsageError
from gradlens.reading.beside import settings_files
from gradlens.sources.files import walk

#: The beginning of an address; a single letter is a drive.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
MAX_SOURCES = 100


@dataclass(frozen=True, slots=True)
class Places:
    """Checks sources before anything is opened: a client asks for what a model wrote, and a model reads logs.

    `root` is the folder outside of which nothing is read, None where there is no such limit.
    """

    root: Path | None = None

    def check(self, sources: Sequence[str]) -> list[str]:
        """The sources as given, if they may be read.

        Raises
        ------
        UsageError
            None or too many, standard input, an address, or something outside of the root.
        SourceError
            Nothing there, or neither a file nor a folder.
        """
        if not sources:
            raise UsageError("no sources", hint="give at least one path")
        if len(sources) > MAX_SOURCES:
            raise UsageError(f"{len(sources)} sources", hint=f"give at most {MAX_SOURCES}, or a folder")
        return [self._check(source) for source in sources]

    def _check(self, source: str) -> str:
        if source.strip() in {"", "-"} or "\0" in source:
            raise UsageError(f"{source!r}: not a path", hint="give the path of a file or a folder")
        path = Path(source).expanduser()
        if "://" in source or (_SCHEME.match(source) and not path.exists()):
            raise UsageError(f"{source}: an address", hint="only files and folders of this machine are read")
        found = [path] if path.exists() else [Path(name) for name in glob.glob(str(path), recursive=True)]  # noqa: PTH207
        if not found:
            raise SourceError(f"{source}: no such file or folder", hint="check the path")
        for one in found:
            self._check_one(source, one)
        return source

    def _check_one(self, source: str, path: Path) -> None:
        if not (path.is_file() or path.is_dir()):
            raise SourceError(f"{source}: neither a file nor a folder", hint="give the path of a log")
        if self.root is None:
            return
        root = self.root.resolve()
        # A folder may hold links to anywhere, and settings are read from beside a log without being named.
        files = list(walk(path)) if path.is_dir() else [path]
        beside = [settings for folder in {file.parent for file in files} for settings in settings_files(folder)]
        for one in (path, *files, *beside):
            if not one.resolve().is_relative_to(root):
                raise UsageError(
                    f"{source}: outside of {self.root}", hint=f"{one.name} leads out of the --root of the server"
                )
