"""Files of settings in the syntaxes that people use: JSON, YAML, Python and shell commands."""

from archlint.plans.documents.opening import open_document

__all__ = ["open_document"]
