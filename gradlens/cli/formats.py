"""`gradlens formats`."""

from __future__ import annotations


def formats() -> None:
    """List the log formats that can be read."""
    import shutil

    from gradlens.readers import SERVICES
    from gradlens.readers.detect import table

    entries = table() | SERVICES
    width = max(len(name) for name in entries)
    columns = max(shutil.get_terminal_size().columns, width + 30)
    for name, entry in entries.items():
        extra = f" (needs gradlens[{entry.extra}])" if entry.extra else ""
        print(_wrapped(f"{name:<{width}}  {entry.title}{extra}", columns, indent=width + 2))
    print()
    print(
        _wrapped(
            "Any of them gzip-compressed; zstd with gradlens[zstd]. URLs, https:// with gradlens[http], s3:// and hf:// with the "
            "extra of that name, others of fsspec with gradlens[remote]: a file, and of stores a folder or a glob.",
            columns,
        )
    )


def _wrapped(text: str, columns: int, *, indent: int = 0) -> str:
    import textwrap

    return textwrap.fill(text, columns, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
