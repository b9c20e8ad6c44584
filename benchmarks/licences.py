"""The licences of what is installed with gradlens, as the packages' own metadata state them, for `docs/dependencies.md`.

    python -m benchmarks.licences [--check]

Takes a second. Rewrites the block of the page between its two marks; with `--check` it only says whether the block is what it
would write. A package that is not installed here is left out, and said.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from importlib import metadata

from benchmarks.dependencies import CLIENTS, TARGET, USES, requirements

BEGIN, END = "<!-- licences -->", "<!-- end of licences -->"
#: Beginnings of what packages call their licences, and the short names of SPDX.
_SPELLINGS = (
    (r"apache", "Apache-2.0"), (r"mit-0\b", "MIT-0"), (r"mit-cmu", "MIT-CMU"), (r"mit\b", "MIT"),
    (r"3-clause bsd|bsd[- ]3|copyright \(c\) 2001-2002 enthought", "BSD-3-Clause"), (r"bsd[- ]2|2-clause bsd", "BSD-2-Clause"),
    (r"bsd", "BSD"), (r"python software foundation|psf", "PSF-2.0"), (r"isc\b", "ISC"),
    (r"mozilla public license 2\.0|mpl-2\.0", "MPL-2.0"), (r"zpl-2\.1|zope", "ZPL-2.1"),
)  # fmt: skip


def licence_of(name: str) -> str:
    """The licence of an installed package: its expression as it stands, otherwise what it says in words; "" where it says nothing."""
    head = metadata.metadata(name)
    if "License-Expression" in head:
        return head["License-Expression"]
    said = head["License"].strip() if "License" in head else ""
    classifiers = [c.rpartition(" :: ")[2] for c in head.get_all("Classifier") or () if c.startswith("License ::")]
    if re.fullmatch(r"[\w.+-]+(?: (?:AND|OR|WITH) [\w.+-]+)+", said):
        return said
    # A licence by its short name is more exact than the classifier, which knows no kinds of BSD.
    spelt = [short_name(text) for text in ([said] if said and "\n" not in said and len(said) < 40 else [])]
    spelt = [text for text in spelt if text] or [text for text in map(short_name, classifiers) if text]
    return " OR ".join(dict.fromkeys(spelt)) or short_name(said)


def short_name(text: str) -> str:
    """The name by SPDX of a licence that is called so; "" where it is none of those known here."""
    return next((short for pattern, short in _SPELLINGS if re.match(rf"(?:the )?(?:{pattern})", text.lower())), "")


def licences() -> tuple[dict[str, dict[str, list[str]]], list[str]]:
    """Of the core, of `all` beyond it and of the clients beyond both: packages by licence; and what is not installed here."""
    found: dict[str, dict[str, list[str]]] = {}
    seen: set[str] = set()
    absent: list[str] = []
    core = [name for name, (where, _) in USES.items() if where == "core"]
    for part, names in (("core", core), ("all", list(USES)), ("clients", list(CLIENTS))):
        by_licence: dict[str, list[str]] = defaultdict(list)
        for name in names:
            try:
                wanted = requirements(name) - seen
            except metadata.PackageNotFoundError as error:
                absent.append(f"{name} ({error.name})")
                continue
            seen |= wanted
            for one in wanted:
                by_licence[licence_of(one)].append(one)
        found[part] = {licence: sorted(packages) for licence, packages in sorted(by_licence.items())}
    return found, absent


def block() -> str:
    """The block of the page."""
    titles = {"core": "the core", "all": "`all`, beyond the core", "clients": "clients, beyond both"}
    found, absent = licences()
    lines = [
        BEGIN, "",
        "Licences as the metadata of the packages state them, of all that they need in turn (`python -m benchmarks.licences`):",
        "",
        "| part | licence | packages |", "|---|---|---|",
        *(
            f"| {titles[part]} | {licence or 'not stated'} | {', '.join(packages)} |"
            for part, by_licence in found.items()
            for licence, packages in by_licence.items()
        ),
        *(["", f"Not installed where this was written: {', '.join(absent)}."] if absent else []),
        "", END,
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the page says something else")
    given = parser.parse_args()
    page = TARGET.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    new = f"{before}{block()}{rest.partition(END)[2]}"
    if given.check:
        return 0 if new == page else 1
    TARGET.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
