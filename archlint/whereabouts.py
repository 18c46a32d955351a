"""Where a repository's own code makes what a finding is about, where the class of that says nothing."""

from __future__ import annotations

import ast
import dataclasses
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Finding, Location
from archlint.core.folding import unfold
from archlint.syntax import parsed


def placed(findings: Iterable[Finding], blueprint: Blueprint) -> list[Finding]:
    """``findings``, those about layers of torch at the line of the class that holds the first one.

    That holds for code outside of installed packages: theirs is nobody's to change.
    """
    trees: dict[str, ast.Module | None] = {}
    return [
        finding
        if finding.location is not None
        else dataclasses.replace(finding, location=_of(finding, blueprint, trees))
        for finding in findings
    ]


def _of(finding: Finding, blueprint: Blueprint, trees: dict[str, ast.Module | None]) -> Location | None:
    path = next((path for fold in finding.sites for path in unfold(fold.pattern)), "")
    while path:
        holder, _, name = path.rpartition(".")
        site = blueprint.by_path.get(holder)
        if site is not None and (found := _held(site, name, trees)) is not None:
            return found
        path = holder
    return None


def _held(site: Site, name: str, trees: dict[str, ast.Module | None]) -> Location | None:
    """Where the class of ``site`` sets its attribute ``name``, or else where that class begins."""
    file, line = site.type.file, site.type.line
    if file is None or line is None or not Path(file).is_absolute():  # of installed packages
        return None
    if file not in trees:
        trees[file] = _tree(file)
    tree = trees[file]
    for statement in () if tree is None else ast.walk(tree):
        if isinstance(statement, ast.ClassDef) and statement.lineno == line:
            return Location(file, next(_settings(statement, name), line))
    return Location(file, line)


def _settings(statement: ast.ClassDef, name: str) -> Iterator[int]:
    """The lines in which a class sets ``self.name``."""
    for node in ast.walk(statement):
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(one, ast.Attribute) and one.attr == name and _is_self(one.value) for one in targets):
                yield node.lineno


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _tree(file: str) -> ast.Module | None:
    try:
        with tokenize.open(file) as opened:
            return parsed(opened.read())
    except (OSError, SyntaxError, ValueError):  # a coding that is unknown is a SyntaxError
        return None
