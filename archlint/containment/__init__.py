"""The code that a model's own repository brings, run where it can do no harm.

archlint's own process never imports it: a process is started for it, closed off by whatever the system has for that,
and asked what :class:`archlint.subject.Bench` can be asked.
"""

from archlint.containment.layers import EVERY, Layer
from archlint.containment.limits import Limits
from archlint.containment.subject import CodeFailedError, Contained, NotContainedError, contained

__all__ = ["EVERY", "CodeFailedError", "Contained", "Layer", "Limits", "NotContainedError", "contained"]
