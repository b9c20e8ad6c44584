"""Which page a word leads to, and the list of them all."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from gradlens.checks import engine
from gradlens.checks.base import Check
from gradlens.diagnosis.signs import PARTS, SIGNS
from gradlens.errors import UsageError
from gradlens.explain.causes import CAUSES, cause_sections
from gradlens.explain.figures import ALIASES, METHODS, method_of
from gradlens.explain.lessons import LESSONS, lesson, title
from gradlens.explain.prose import Section, laid_out, plain, sections_of, table
from gradlens.explain.signs import sign_sections
from gradlens.reporters.wording import TITLES

Kind = Literal["check", "cause", "sign", "lesson", "method"]
#: What a word that names several things is taken for first; `data-shift` spelled as the check is the check all the same.
KINDS: tuple[Kind, ...] = get_args(Kind)


def page(word: str, numbers: Mapping[str, Any] | None = None) -> str:
    """The page of a check (by code or name), a cause, a sign, a lesson, a method, or of the method behind a figure.

    A figure goes by its place in a JSON document (`tail.xi`) or its label in the text (`by phase`). With `numbers`, the
    example of a lesson worked out for them.

    Raises
    ------
    UsageError
        None of them; the hint names the nearest ones. Numbers for something that takes none, or not these.
    """
    wanted = word.strip()
    found = _meanings(wanted)
    if numbers:
        return laid_out(_worked(wanted, [name for kind, name in found if kind == "lesson"], numbers))
    if not found:
        method = method_of(wanted) or ALIASES.get(_key(wanted))
        if method is None:
            raise UsageError(f"no check, cause, sign, lesson or method is named {wanted!r}", hint=_suggestion(wanted))
        found = [("method", method)]
    first, *others = found
    sections = list(_sections(*first))
    if first[0] == "lesson" and others:
        # What a report measures of it.
        for other in others:
            sections += _sections(*other)
    elif others:
        also = ", ".join(f"the {kind} {name}" for kind, name in others)
        sections.append(Section("Of the same name", f"{also[:1].upper()}{also[1:]}."))
    return laid_out(sections)


def names() -> Iterator[tuple[Kind, str]]:
    """Everything that has a page: its kind and each of its names."""
    for check in engine.load_checks():
        yield "check", check.code
        yield "check", check.name
    yield from (("cause", cause) for cause in CAUSES)
    yield from (("sign", name) for name in (*SIGNS, *PARTS))
    yield from (("lesson", name) for name in LESSONS)
    yield from (("method", name) for name in METHODS)


def _meanings(wanted: str) -> list[tuple[Kind, str]]:
    """What a word may stand for: first what is spelled like it, then the rest in order of kinds."""
    same = [(kind, name) for kind, name in names() if _key(name) == _key(wanted)]
    return sorted(same, key=lambda found: (found[1].lower() != wanted.lower(), KINDS.index(found[0])))


def _key(word: str) -> str:
    return word.lower().replace("_", "-").replace(" ", "-")


def _suggestion(wanted: str) -> str:
    import difflib

    known: dict[str, list[tuple[Kind, str]]] = {}
    for kind, name in names():
        known.setdefault(_key(name), []).append((kind, name))
    near = [found for key in difflib.get_close_matches(_key(wanted), known, n=3) for found in known[key]]
    if not near:
        return "`gradlens explain` lists them all"
    return f"did you mean {', '.join(f'{name} ({kind})' for kind, name in near)}?"


def _worked(wanted: str, lessons: list[str], numbers: Mapping[str, Any]) -> Iterator[Section]:
    """The example of a lesson, for other numbers."""
    if not lessons:
        raise UsageError(f"{wanted} takes no numbers", hint=f"these do: {', '.join(LESSONS)}")
    (name,) = lessons
    known = lesson(name).options()
    for option in numbers:
        if option not in known:
            raise UsageError(f"{name} takes no --{option}", hint=f"it takes {', '.join(f'--{each}' for each in known)}")
    return lesson(name)(**numbers).answer(name)


def _sections(kind: Kind, name: str) -> Iterator[Section]:
    if kind == "check":
        return check_sections(next(c for c in engine.load_checks() if name in {c.code, c.name}))
    if kind == "cause":
        return cause_sections(next(cause for cause in CAUSES if cause == name))
    if kind == "lesson":
        return lesson(name).page(name)
    return sign_sections(name) if kind == "sign" else _method_sections(name)


def check_sections(check: Check) -> Iterator[Section]:
    """The page of a check: its docstring, and the cause that it speaks for."""
    yield Section("", f"Check {check.code} {check.name}")
    yield from sections_of(check.documentation())
    if check.cause is not None:
        yield Section(
            "Cause", f"{check.cause}, {TITLES[check.cause]}: gradlens explain {check.cause} has its signs and weights."
        )


def _method_sections(name: str) -> Iterator[Section]:
    yield Section("", f"Method {name}")
    text = inspect.getdoc(_object(METHODS[name])) or ""
    for other, target in METHODS.items():
        text = text.replace(f"`{target}`", f"gradlens explain {other}")
    yield from sections_of(text)


def catalogue() -> str:
    """The list of all checks, causes, signs, lessons and methods, one per line."""
    methods = ((name, _summary(target)) for name, target in METHODS.items())
    return laid_out((
        Section("Checks", table(engine.catalogue())),
        Section("Causes", table((str(cause), TITLES[cause]) for cause in CAUSES)),
        Section("Signs", table((name, sign.text) for name, sign in SIGNS.items())),
        Section("Lessons, worked out for your own numbers", table((name, title(name)) for name in LESSONS)),
        Section("Methods behind the figures", table(methods)),
        Section("", "gradlens explain NAME prints one page; a key of the JSON document (tail.xi) finds its method."),
    ))  # fmt: skip


def _object(target: str) -> object:
    module, _, attribute = target.partition(":")
    found: object = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def _summary(target: str) -> str:
    return plain((inspect.getdoc(_object(target)) or "").partition("\n")[0])
