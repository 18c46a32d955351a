"""From a skeleton to a blueprint: what every module is, decided from types, signatures and structure."""

from archlint.survey.census import survey
from archlint.survey.live import LiveModelError, plain_model, without_weights

__all__ = ["LiveModelError", "plain_model", "survey", "without_weights"]
