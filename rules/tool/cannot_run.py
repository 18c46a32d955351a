"""ARC903: the model could not be run, so what shows only when it runs was not checked."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Finding, Severity
from archlint.core.report import Unchecked
from archlint.core.rule import Rule
from archlint.core.trial import Trial


class CannotRun(Rule):
    """The model could not be run without weights, so adapters that crash it or get no gradient were not looked for.

    ## What it does
    Reports a plan that PEFT takes, on a model whose training step runs neither on the meta device nor as a small
    copy on the processor: its forward needs the content of its inputs, or a kernel that only a GPU has.

    ## Why it matters
    What is read from the structure and what PEFT says of the plan stand. Whether the adapted model trains was not
    checked, and that is never the same as clean: the exit code is 3.

    ## What to do
    Try the plan on a GPU for one step before a long run, and look for parameters whose `grad` is `None`. Where the
    message names a missing package, install it.

    ## Example
    A model that runs nowhere but on a GPU,

        import archlint
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.q_proj = nn.Linear(8, 8)

            def forward(self, input_ids):
                if not input_ids.is_cuda:
                    raise RuntimeError("needs a GPU")

        print(archlint.check_plan(Net(), {"target_modules": ["q_proj"]}))

    says

        warning ARC903 cannot-run: the training step could not be run: RuntimeError: needs a GPU (…)

    and one step of training on a GPU tells whether every adapter gets a gradient.
    """

    code = "ARC903"
    name = "cannot-run"
    severity = Severity.WARNING
    why = "Whether the adapted model trains was not checked, which is not the same as nothing found."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        lack = self.lack(blueprint)
        if lack is not None:
            yield self.finding(f"the training step could not be run: {lack.why}", unchecked=True)

    @staticmethod
    def lack(blueprint: Blueprint, recipe: Trial | None = None) -> Unchecked | None:
        """What a report has to say of plans that were not run; ``None`` where all were, or nothing was to be run."""
        if blueprint.facts.reading is not None:  # of which nothing could have been run
            return None
        baseline = blueprint.baseline
        trials = [*blueprint.trials, *([recipe] if recipe is not None else [])]
        untold = next((trial for trial in trials if trial.not_run), None)
        if untold is not None:
            return Unchecked("the training step", untold.not_run)
        left = [trial for trial in trials if trial.adapted and trial.forward == "unavailable"]
        if not left or (baseline.ground is None and not baseline.reason):
            return None
        reason = " ".join(baseline.reason.split()) or (
            f"the model runs; with {left[0].plan.name} it takes too long, or its small copy lacks what that names"
        )
        return Unchecked("the training step", reason)
