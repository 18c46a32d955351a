"""Which versions to check with: ``transformers==5.10.4,peft>=0.18,<0.19``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

INSTALLED = "installed"
"""The stack that archlint runs with."""

_BETWEEN = re.compile(r",(?=\s*[A-Za-z0-9])(?![^\[]*\])")
"""A comma before a name, and not between extras; one before an operator goes on with the bounds of a version."""


class StackError(ValueError):
    """A text names no stack; the message says why."""


@dataclass(frozen=True)
class Stack:
    """Requirements that are installed together; none for what is installed already."""

    requirements: tuple[Requirement, ...] = ()

    @property
    def label(self) -> str:
        """How it is called, and asked for."""
        return ",".join(map(str, self.requirements)) or INSTALLED

    @property
    def packages(self) -> tuple[str, ...]:
        """Names of what it asks for."""
        return tuple(canonicalize_name(requirement.name) for requirement in self.requirements)

    def pinned(self, package: str) -> str | None:
        """The one version of ``package`` that it allows."""
        for requirement in self.requirements:
            if canonicalize_name(requirement.name) == package:
                [*exact] = (bound.version for bound in requirement.specifier if bound.operator == "==")
                return exact[0] if len(exact) == 1 and not exact[0].endswith("*") else None
        return None


def stack(text: str) -> Stack:
    """The stack that ``text`` names.

    Raises:
        StackError: it names none.
    """
    if text.strip() == INSTALLED:
        return Stack()
    made = Stack(tuple(_requirement(part.strip()) for part in _BETWEEN.split(text)))
    for package in made.packages:
        if made.packages.count(package) > 1:
            raise StackError(f"{text!r} names {package} twice: give one --with for each version")
    return made


def _requirement(text: str) -> Requirement:
    if _is_version(text):
        raise StackError(f"{text!r} is a version without a package; write peft==0.19.1")
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise StackError(f"{text!r} is no requirement; write peft==0.19.1, or {INSTALLED}") from None
    if requirement.marker is not None:
        raise StackError(f"{text!r} depends on where it is installed: leave out what is behind the semicolon")
    if requirement.name == INSTALLED:
        raise StackError(f"{INSTALLED} stands alone: it is the stack that archlint runs with")
    if canonicalize_name(requirement.name) == "archlint":
        raise StackError("archlint is always the one that runs here")
    return requirement


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
