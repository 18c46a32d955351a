"""From a skeleton to a blueprint: what every module is, decided from types, signatures and structure."""

from archlint.survey.census import survey

__all__ = ["survey"]
