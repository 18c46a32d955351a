"""A text that was written for a tool, as that tool would read it back."""

from __future__ import annotations

from pathlib import Path

from archlint.plans.dialect import Dialect
from archlint.plans.documents.yaml_document import YamlDocument
from archlint.plans.plan_file import PlanFile


def read_back(dialect: Dialect, text: str) -> PlanFile:
    """The plan in a YAML ``text`` of a tool, which is in no file yet."""
    document = YamlDocument(Path("recipe.yml"), text)
    (_, section), *_ = dialect.claims(document)
    return PlanFile(document, section, dialect, dialect.read(document, section))
