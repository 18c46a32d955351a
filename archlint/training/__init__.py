"""What trainers make of a model beyond what the model does by itself."""

from archlint.training.asking import ask
from archlint.training.behaviour import Behaviour, UnknownVersionError, behaviour
from archlint.training.observe import observe

__all__ = ["Behaviour", "UnknownVersionError", "ask", "behaviour", "observe"]
