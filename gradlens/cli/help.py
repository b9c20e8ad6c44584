"""Help that lists what the tables of plug-ins hold, so that no option has to know them."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

_PLACE = re.compile(r"\{(formats of an? (?P<kind>\w+)|suffixes)\}")


class Command(TyperCommand):
    """A command whose options may say `{formats of a report}` or `{suffixes}` in their help.

    The tables are asked when the help is: a command that runs does not wait for installed plug-ins to be looked for.
    """

    # Typer ships its own copy of click in some versions, so the types here are those of neither.
    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, with what the tables hold."""
        for parameter in self.params:
            if text := getattr(parameter, "help", None):
                vars(parameter)["help"] = _PLACE.sub(_listed, text)
        super().format_options(ctx, formatter)


def _listed(place: re.Match[str]) -> str:
    from gradlens.reporters import names, suffixes

    return ", ".join(names(place["kind"]) if place["kind"] else suffixes())
