"""What archlint takes beside its peers, what it is allowed to, and the tables of both. Plain data only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pages
from measuring import Usage

DENSE, TOWERS, EXPERTS = "Llama-3.1-8B", "gemma-4-E2B-it", "DeepSeek-V3"
MODELS = {
    DENSE: "meta-llama/Llama-3.1-8B-Instruct",
    TOWERS: "google/gemma-4-E2B-it",
    EXPERTS: "deepseek-ai/DeepSeek-V3",
}
"""What is built, by the name that it has in a table: a dense model, one with towers, one of 671 billion parameters."""
START, WIDE = "start", "wide"
"""The groups of commands that are about no single model."""

NAIVE, LIBRARIES, LOOP = "naive", "libraries", "loop"
LABELS = {
    NAIVE: "naive script",
    "floor": "imports and build alone",
    "estimate": "`accelerate estimate-memory`",
    "static": "`archlint --no-prove`, cold",
    "proven": "`archlint`, cold, fully proven",
    "cached": "`archlint`, again",
    LIBRARIES: '`python -c "import click, rich"`',
    "help": "`archlint --help`",
    "explain": "`archlint explain ARC101`",
    "rules": "`archlint rules`",
    LOOP: "loop of naive scripts",
    "scan": "`archlint scan --jobs 2`, fully proven",
}
"""The commands, and what a table calls them."""

Measured = Mapping[str, Mapping[str, Usage | str]]
"""What commands took, or why they could not be run, by group and command."""


@dataclass(frozen=True)
class Target:
    """What a ratio is allowed to be."""

    most: float
    of: tuple[str, ...] = ("processor", "wall")
    """The figures of :class:`Usage` that it is about: all of them have to be in it."""
    megabytes: float | None = None
    """What the peak memory has to be below, where that is a part of the target."""

    def __str__(self) -> str:
        text = f"≤ {self.most}" if self.of == ("processor", "wall") else f"{' and '.join(self.of)} ≤ {self.most}"
        return text if self.megabytes is None else f"{text}, below {self.megabytes:.0f} MB"

    def is_met(self, usage: Usage, against: Usage) -> bool:
        """Whether a command keeps it."""
        ratios = (getattr(usage, figure) / getattr(against, figure) for figure in self.of)
        return all(ratio <= self.most for ratio in ratios) and (self.megabytes is None or usage.memory < self.megabytes)


@dataclass(frozen=True)
class Comparison:
    """One row: a command beside another one."""

    group: str
    command: str
    against: str
    target: Target | None = None
    against_group: str = ""
    """The group of the other command; empty for the same."""

    def row(self, measured: Measured, types: int) -> tuple[str, ...]:
        """Its cells."""
        usage = measured[self.group][self.command]
        against = measured[self.against_group or self.group][self.against]
        target = "" if self.target is None else str(self.target)
        names = (self._named(self.group, self.command, types), self._named(self.against_group, self.against, types))
        failed = next((told for told in (usage, against) if isinstance(told, str)), None)
        if failed is not None or isinstance(usage, str) or isinstance(against, str):
            return (*names, f"fails: {str(failed).partition(':')[0]}", "", "", target, "not met" if target else "")
        ratios = [f"{own / other:.2f}" for own, other in zip(usage, against, strict=True)]
        ratios[-1] += f" ({usage.memory:.0f} MB)"
        met = "" if self.target is None else "met" if self.target.is_met(usage, against) else "not met"
        return (*names, *ratios, target, met)

    def _named(self, group: str, command: str, types: int) -> str:
        about = f"{types} model types" if group == WIDE else group if group in MODELS else ""
        return f"{about}: {LABELS[command]}" if about else LABELS[command]


_LIMITS = {
    "static": Target(1.0),
    "proven": Target(1.25),
    "cached": Target(0.05, megabytes=60),
}
COMPARISONS = (
    *(
        Comparison(model, command, NAIVE, _LIMITS.get(command) if model == DENSE else None)
        for model in MODELS
        for command in ("floor", "estimate", "static", "proven", "cached")
    ),
    Comparison(EXPERTS, "proven", NAIVE, Target(1.3, ("memory",)), against_group=DENSE),
    Comparison(EXPERTS, "proven", "proven", against_group=DENSE),
    *(Comparison(START, command, LIBRARIES, Target(1.5)) for command in ("help", "explain", "rules")),
    Comparison(WIDE, "scan", LOOP, Target(0.15, ("wall",))),
)


def ratios(measured: Measured, types: int) -> str:
    """The table of all comparisons. ``types`` is the number of model types that the wide ones are about."""
    header = ("", "beside", "processor time", "wall time", "peak memory", "target", "")
    return pages.table(header, (comparison.row(measured, types) for comparison in COMPARISONS), left=2)


def usage(measured: Measured, types: int) -> str:
    """The table of what each command took by itself; those about many model types, for one type."""
    header = ("", "processor time", "wall time", "peak memory")
    return pages.table(header, _rows(measured, types))


def _rows(measured: Measured, types: int) -> Iterator[tuple[str, ...]]:
    for group, commands in measured.items():
        about = "a model type: " if group == WIDE else f"{group}: " if group in MODELS else ""
        for command, used in commands.items():
            if isinstance(used, str):
                yield f"{about}{LABELS[command]}", f"fails: {used}", "", ""
                continue
            share = types if group == WIDE else 1
            seconds = (f"{figure / share:.2f} s" for figure in (used.processor, used.wall))
            yield (f"{about}{LABELS[command]}", *seconds, f"{used.memory:.0f} MB")
