"""Files behind URLs that fsspec can open: one of them, those that a pattern matches, all below a folder of a store."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, cast

from gradlens.errors import GradlensError, MissingExtraError, SourceError
from gradlens.frozen import frozen

#: Folders that never hold logs and may be huge.
SKIPPED_FOLDERS = frozenset({".git", "__pycache__", "node_modules", ".venv", "venv", "site-packages"})
_BLOCK = 1 << 18
#: Of a longer reason only the first sentence is told.
_MAX_REASON = 200
_MAGIC = frozenset("*?[")
#: Schemes under which there are pages and no folders: asking for a listing would take the links of a page for files.
_PAGES = frozenset({"http", "https"})
#: What to do where a store does not answer, by scheme; without a network a copy of the log is what remains.
_HINTS: Mapping[str, str] = {
    "s3": "check the address, the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID) and, for a store of your own, AWS_ENDPOINT_URL; "
    "without a network copy the log here and give its path",
    "hf": "check the address (hf://datasets/OWNER/NAME/PATH) and HF_TOKEN; without a network download the log elsewhere "
    "(`hf download`) and give its path",
}
#: The extra that brings what fsspec needs for a scheme, and the package.
_EXTRAS: Mapping[str, tuple[str, str]] = {
    "http": ("http", "aiohttp"), "https": ("http", "aiohttp"), "s3": ("s3", "s3fs"), "hf": ("hf", "huggingface_hub"),
}  # fmt: skip


def is_url(text: str) -> bool:
    """Whether a SOURCE argument is an address with a scheme."""
    return bool(scheme_of(text))


def scheme_of(text: str) -> str:
    """The scheme of a URL in lower case, "" where the text is none."""
    scheme, separator, _ = text.partition("://")
    return scheme.lower() if separator and scheme.replace("+", "").replace("-", "").isalnum() else ""


def open_url(url: str) -> BinaryIO:
    """The bytes behind a URL.

    Raises
    ------
    MissingExtraError, SourceError
        A package is missing; nothing there, or no answer.
    """
    _need(url)
    import fsspec

    try:
        # Files of stores are streams of their own kind, some without the limit of `readline`.
        return io.BufferedReader(fsspec.open(url, "rb").open(), _BLOCK)
    except Exception as error:
        raise _refused(url, error) from error


@frozen
class Listing:
    """What a URL gave: `files` by their own URLs, each with what the store says of it (size, time, checksum)."""

    url: str
    files: Mapping[str, Mapping[str, Any]]
    is_folder: bool = False


def listed(url: str) -> list[Listing]:
    """What a URL names: one file, all below a folder, or each file and folder that a pattern matches.

    Raises
    ------
    MissingExtraError, SourceError
        A package is missing; nothing under that name, a pattern that matches nothing, an empty folder, or no answer.
    """
    _need(url)
    import fsspec

    if scheme_of(url) in _PAGES:
        return [Listing(url=url, files={url: {}})]
    try:
        system, path = fsspec.core.url_to_fs(url)
        is_pattern = not _MAGIC.isdisjoint(path) and not system.exists(path)
        found = system.glob(path, detail=True) if is_pattern else {path: system.info(path)}
        if not is_pattern and found[path].get("type") != "directory":
            return [Listing(url=url, files={url: found[path]})]
        named = [_listing(system, name, info) for name, info in sorted(found.items())]
    except Exception as error:
        raise _refused(url, error) from error
    if not any(listing.files for listing in named):
        told = ("no file matches", "check the pattern") if is_pattern else ("an empty folder", "check the address")
        raise SourceError(f"{url}: {told[0]}", hint=told[1])
    return [listing for listing in named if listing.files]


def _listing(system: Any, name: str, info: Mapping[str, Any]) -> Listing:
    def named(path: str) -> str:
        return cast("str", system.unstrip_protocol(path))

    if info.get("type") != "directory":
        return Listing(url=named(name), files={named(name): info})
    files = {
        named(path): details
        for path, details in sorted(system.find(name, detail=True).items())
        if details.get("type") != "directory" and not is_hidden(path[len(name) :].strip("/").split("/"))
    }
    return Listing(url=named(name), files=files, is_folder=True)


def is_hidden(parts: Sequence[str]) -> bool:
    """Whether a path below the folder that is searched belongs to what is never a log: hidden files, packages."""
    return any(part.startswith(".") or part in SKIPPED_FOLDERS for part in parts)


def _need(url: str) -> None:
    """Ask for the packages of a scheme."""
    try:
        import fsspec  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(f"{url}: a URL", "remote", "fsspec") from error


def _refused(url: str, error: Exception) -> GradlensError:
    """The error for a URL that cannot be opened, by what a package for URLs raised, which may be anything."""
    if isinstance(error, GradlensError):
        return error
    scheme = scheme_of(url)
    if isinstance(error, ImportError):
        if scheme in _EXTRAS:
            return MissingExtraError(f"{url}: a URL", *_EXTRAS[scheme])
        return SourceError(f"{url}: {error}", hint="install the package that fsspec asks for")
    return SourceError(f"{url}: {_reason(error, url)}", hint=_HINTS.get(scheme, "check the address"))


def _reason(error: Exception, url: str) -> str:
    """Why a URL could not be opened: fsspec raises FileNotFoundError with nothing but the address for many reasons."""
    if isinstance(error, FileNotFoundError) or url.endswith(str(error)):
        return str(error.__cause__ or "") or "no such file"
    text = str(error) or type(error).__name__
    # The first sentence says what; the others are advice about packages.
    return text if len(text) <= _MAX_REASON else text.partition(". ")[0][:_MAX_REASON]
