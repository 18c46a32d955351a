"""Read what a repository's own code describes, without running any of it."""

from archlint.reading.limits import ReadingError
from archlint.reading.repository import Gap, Reading, read

__all__ = ["Gap", "Reading", "ReadingError", "read"]
