"""The pages behind `gradlens explain`: one for each check, and one for each method behind a figure.

Nothing is written twice: a check's page is its docstring, a method's page the docstring of the module or function that
computes it.
"""

from __future__ import annotations

import difflib
import importlib
import inspect

from gradlens.errors import UsageError

#: Methods behind the figures of a report: name -> where the text lives.
METHODS: dict[str, str] = {
    "clip-rate": "gradlens.stats.clipping",
    "shrink-factor": "gradlens.stats.clipping:shrink_factor",
    "return-period": "gradlens.stats.clipping:return_period",
    "effective-n": "gradlens.stats.dependence",
    "detrending": "gradlens.stats.robust",
    "warm-up": "gradlens.stats.warmup",
    "spikes": "gradlens.stats.spikes",
    "coincidence": "gradlens.stats.coincidence",
    "spike-score": "gradlens.stats.spikes:olmo_flags",
    "tail": "gradlens.stats.tails",
    "fits": "gradlens.stats.families",
    "power-law": "gradlens.stats.powerlaw",
    "pareto-tail": "gradlens.stats.gpd",
    "tail-index": "gradlens.stats.indices",
    "extremal-index": "gradlens.stats.dependence:extremal_index",
    "block-length": "gradlens.stats.dependence:block_length",
    "holm": "gradlens.stats.multiple:holm",
    "suggestion": "gradlens.stats.thresholds",
    "policies": "gradlens.policies",
    "comparison": "gradlens.stats.comparison",
    "threshold": "gradlens.threshold",
    "provenance": "gradlens.provenance",
    "diagnosis": "gradlens.diagnosis",
}


def page(name: str) -> str:
    """The page of one check (by code or name) or method.

    Raises
    ------
    UsageError
        Neither; the hint names the nearest ones.
    """
    from gradlens.checks import engine

    wanted = name.strip()
    if wanted.lower() in METHODS:
        return _method(wanted.lower())
    text = engine.explain(wanted)
    if text is not None:
        return text
    known = [*METHODS, *(word for code, title, _ in engine.catalogue() for word in (code, title))]
    near = difflib.get_close_matches(wanted, known, n=3) or difflib.get_close_matches(wanted.upper(), known, n=3)
    raise UsageError(
        f"no check or method named {wanted!r}",
        hint=f"did you mean {', '.join(near)}?" if near else "`gradlens explain` lists them all",
    )


def catalogue() -> str:
    """The list of all checks and methods, one a line."""
    from gradlens.checks import engine

    lines = ["Checks", ""]
    lines += [f"  {code}  {title:<28} {summary}" for code, title, summary in engine.catalogue()]
    lines += ["", "Methods behind the figures", ""]
    lines += [f"  {name:<16} {_summary(target)}" for name, target in METHODS.items()]
    lines += ["", "gradlens explain NAME prints one page."]
    return "\n".join(lines)


def _object(target: str) -> object:
    module, _, attribute = target.partition(":")
    found: object = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def _method(name: str) -> str:
    return f"{name}\n{'=' * len(name)}\n\n{inspect.getdoc(_object(METHODS[name])) or ''}"


def _summary(target: str) -> str:
    return (inspect.getdoc(_object(target)) or "").partition("\n")[0]
