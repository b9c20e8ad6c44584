"""Where units are judged: one file per engine, one line here."""

from __future__ import annotations

from collections.abc import Mapping

from gradlens.registry import Entry

ENGINES: Mapping[str, Entry] = {
    "local": Entry(target="gradlens.fleet.engines.local:LocalEngine", title="processes on this machine (--jobs)"),
    "dask": Entry(target="gradlens.fleet.engines.dask:DaskEngine", title="a Dask cluster (--scheduler)", extra="dask"),
}
