"""Read what a repository's own code describes, without running any of it."""

from archlint.core.custom_code import Gap
from archlint.reading.limits import ReadingError
from archlint.reading.repository import Reading, read

__all__ = ["Gap", "Reading", "ReadingError", "read"]
