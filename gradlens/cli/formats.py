"""`gradlens formats`."""

from __future__ import annotations


def formats() -> None:
    """List the log formats that can be read."""
    from gradlens.readers import SERVICES
    from gradlens.readers.detect import table

    entries = table() | SERVICES
    width = max(len(name) for name in entries)
    for name, entry in entries.items():
        extra = f"  (needs gradlens[{entry.extra}])" if entry.extra else ""
        print(f"{name:<{width}}  {entry.title}{extra}")
    print(
        "\nAny of them gzip-compressed; zstd with gradlens[zstd]. URLs, https:// with gradlens[http], s3:// and hf:// with the extra of"
    )
    print("that name, others of fsspec with gradlens[remote]: a file, and of stores a folder or a glob.")
