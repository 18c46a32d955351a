"""Stacks in words: by the version of one package where that alone tells them apart."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from packaging.version import Version

from archlint.matrix.comparing import Outcome
from archlint.report.quoting import visible

CORE = ("torch", "transformers", "accelerate", "peft", "trl")
"""Packages of which what is found depends on the version."""


class Names:
    """What some of the stacks are called, seen beside the others."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self._outcomes = outcomes
        named = dict.fromkeys(package for outcome in outcomes for package in outcome.stack.packages)
        varying = [name for name in named if len({outcome.version(name) for outcome in outcomes}) > 1]
        present = [outcome for outcome in outcomes if outcome.versions]
        # what an installer chose otherwise because of those that were named may be the reason as well
        chosen = (name for name in CORE if name not in named)
        self._varying = varying + [name for name in chosen if len({one.version(name) for one in present}) > 1]

    def of(self, number: int) -> str:
        """One stack: the packages in which it can differ from another."""
        outcome = self._outcomes[number]
        parts = [f"{name} {version}" for name in self._varying if (version := outcome.version(name))]
        return visible(" + ".join(parts) or outcome.stack.label)

    def axis(self, chosen: Collection[int], others: Collection[int]) -> str | None:
        """The one package whose versions tell ``chosen`` from ``others``; ``None`` where several do, or none."""
        telling = [name for name in self._varying if self._tells(name, chosen, others)]
        return telling[0] if len(telling) == 1 else None

    def _tells(self, package: str, chosen: Collection[int], others: Collection[int]) -> bool:
        ours, theirs = self._versions(package, chosen), self._versions(package, others)
        return None not in ours | theirs and ours.isdisjoint(theirs)

    def _versions(self, package: str, numbers: Iterable[int]) -> set[str | None]:
        return {self._outcomes[number].version(package) for number in numbers}

    def listed(self, chosen: Collection[int], axis: str | None, last: str = "and") -> str:
        """``chosen`` by their versions of ``axis``, oldest first: ``0.18.0 and 0.19.1``."""
        if axis is None:
            return enumerated([self.of(number) for number in sorted(chosen)], last)
        versions = {version for version in self._versions(axis, chosen) if version is not None}
        return enumerated([visible(version) for version in sorted(versions, key=Version)], last)

    def together(self, chosen: Collection[int]) -> str:
        """``chosen`` by themselves: ``peft 0.18.0 and 0.19.1``."""
        axis = self.axis(chosen, ())
        if axis is None and len(chosen) == len(self._outcomes) > 1:
            return "all of them"
        return f"{axis} {self.listed(chosen, axis)}" if axis else self.listed(chosen, axis)

    def ranged(self, chosen: Collection[int], others: Collection[int], axis: str | None) -> str:
        """:meth:`listed`, as ``≥ 0.19.1`` or ``≤ 0.19.1`` where they are two or more on one side of all others."""
        if axis is None:
            return self.listed(chosen, axis)
        ours, theirs = (
            sorted({Version(version) for version in self._versions(axis, numbers) if version is not None})
            for numbers in (chosen, others)
        )
        if len(ours) > 1 and theirs and ours[0] > theirs[-1]:
            return f"≥ {ours[0]}"
        if len(ours) > 1 and theirs and ours[-1] < theirs[0]:
            return f"≤ {ours[-1]}"
        return self.listed(chosen, axis)


def enumerated(words: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
