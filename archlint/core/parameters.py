"""The parameters that a plan adapts as such, by whatever way PEFT came to them."""

from __future__ import annotations

from archlint.core.suffixes import reached_by
from archlint.core.trial import Trial


def adapted_parameters(trial: Trial) -> dict[str, str]:
    """Paths of the sites whose parameter a plan adapts, each with that parameter's full name.

    The two differ for a Linear, whose weight is no site of its own. PEFT comes to a parameter by
    ``target_parameters``, or by a name of separate experts that it converts to one.
    """
    named = sorted(trial.reached_through("target_parameters"))
    converted = [
        path for name in trial.rewritten.get("target_parameters", ()) for path in reached_by(name, trial.adapted)
    ]
    adapted = frozenset(trial.adapted)
    found = {name if name in adapted else name.rpartition(".")[0]: name for name in (*named, *converted)}
    return {path: found[path] for path in trial.adapted if path in found}
