"""Whether something is kept as it was, or not quite."""

from __future__ import annotations

import enum


class Safety(str, enum.Enum):
    """Whether a remedy keeps what the model computes and trains, or gives something up."""

    EXACT = "exact"
    LOSSY = "lossy"
