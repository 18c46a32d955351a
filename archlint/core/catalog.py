"""All rules that there are, and which of them are meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, overload

if TYPE_CHECKING:
    from archlint.core.rule import Rule


class RuleLoadError(Exception):
    """A plugin or a rule file could not be loaded; the message says which, and why."""


class UnknownRuleError(Exception):
    """A selection names a code that no rule has; the message holds the nearest one."""


class Known(NamedTuple):
    """What is known of a rule before it is loaded."""

    name: str
    module: str
    """The one that defines it."""

    @classmethod
    def of(cls, rule: type[Rule]) -> Known:
        return cls(rule.name, rule.__module__)


class Selection(Sequence["type[Rule]"]):
    """Rules of a catalog by their codes; they are loaded when one is asked for."""

    def __init__(self, catalog: Catalog, codes: Iterable[str]) -> None:
        self.known: Mapping[str, Known] = {code: catalog.known[code] for code in codes}
        """What is known of each without loading it, by code."""
        self._catalog = catalog

    @cached_property
    def _rules(self) -> list[type[Rule]]:
        return [self._catalog.rules[code] for code in self.known if code in self._catalog.rules]

    def __len__(self) -> int:
        return len(self.known)

    @overload
    def __getitem__(self, index: int) -> type[Rule]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[type[Rule]]: ...

    def __getitem__(self, index: int | slice) -> type[Rule] | Sequence[type[Rule]]:
        return self._rules[index]


def known(rules: Sequence[type[Rule]]) -> Mapping[str, Known]:
    """What is known of ``rules``, by code, without loading those of a selection."""
    return rules.known if isinstance(rules, Selection) else {rule.code: Known.of(rule) for rule in rules}


class Catalog:
    """All known rules, by code.

    Args:
        rules: each with its code.
        failures: plugins that are installed but could not be loaded.
    """

    def __init__(self, rules: Mapping[str, type[Rule]], failures: Sequence[RuleLoadError] = ()) -> None:
        self.known: Mapping[str, Known] = {code: Known.of(rule) for code, rule in rules.items()}
        """By code: to know that takes none of the rules."""
        self._found = (rules, tuple(failures))

    @classmethod
    def load(cls, files: Iterable[Path] = ()) -> Catalog:
        """Every registered rule, and those in ``files``.

        Raises:
            RuleLoadError: a file cannot be loaded, holds no rule, or claims a code that is taken.
        """
        from archlint.core.rule_loading import load

        return cls(*load(files))

    @classmethod
    def deferred(cls, known: Mapping[str, Known]) -> Catalog:
        """Every registered rule, where that much is known already: all are loaded once one is asked for."""
        catalog = cls({})
        catalog.known = known
        del catalog._found  # which is loaded then
        return catalog

    @cached_property
    def _found(self) -> tuple[Mapping[str, type[Rule]], tuple[RuleLoadError, ...]]:
        from archlint.core.rule_loading import load

        return load()

    @property
    def rules(self) -> Mapping[str, type[Rule]]:
        """The rules themselves, which are loaded by now."""
        return self._found[0]

    @property
    def failures(self) -> tuple[RuleLoadError, ...]:
        """Plugins that are installed but could not be loaded, as far as they were tried."""
        return self._found[1] if "_found" in vars(self) else ()

    def codes(
        self,
        select: Sequence[str] | None = None,
        ignore: Sequence[str] = (),
        extend: Sequence[str] = (),
    ) -> list[str]:
        """The codes of the rules to run. A code may be shortened to a prefix (``ARC5``) or be ``ALL``.

        Raises:
            UnknownRuleError: a code fits no rule.
        """
        chosen = set(self.known) if not select else self._matching(select)
        chosen |= self._matching(extend)
        chosen -= self._matching(ignore)
        return [code for code in self.known if code in chosen]

    def select(
        self,
        select: Sequence[str] | None = None,
        ignore: Sequence[str] = (),
        extend: Sequence[str] = (),
    ) -> list[type[Rule]]:
        """The rules of :meth:`codes`, as far as they could be loaded.

        Raises:
            UnknownRuleError: a code fits no rule.
        """
        return list(self.chosen(select, ignore, extend))

    def chosen(
        self,
        select: Sequence[str] | None = None,
        ignore: Sequence[str] = (),
        extend: Sequence[str] = (),
    ) -> Selection:
        """:meth:`select`, with the rules loaded when one is asked for.

        Raises:
            UnknownRuleError: a code fits no rule.
        """
        return Selection(self, self.codes(select, ignore, extend))

    def code(self, word: str) -> str:
        """The code of the rule with this code or name.

        Raises:
            UnknownRuleError: there is none.
        """
        for code, known in self.known.items():
            if word.upper() == code or word.lower() == known.name:
                return code
        raise self._unknown(word)

    def _matching(self, codes: Iterable[str]) -> set[str]:
        matching: set[str] = set()
        for code in codes:
            fits = {known for known in self.known if known.startswith(code.upper()) or code.upper() == "ALL"}
            fits |= {known for known, rule in self.known.items() if rule.name == code.lower()}
            if not fits or not code:
                raise self._unknown(code)
            matching |= fits
        return matching

    def _unknown(self, code: str) -> UnknownRuleError:
        import difflib

        codes = difflib.get_close_matches(code.upper(), self.known, len(self.known) or 1)
        # of codes that share as many characters, the one that has them in the same places
        codes.sort(key=lambda known: sum(map(str.__ne__, known, code.upper())))
        names = [rule.name for rule in self.known.values()]
        near = [*codes, *difflib.get_close_matches(code.lower(), names, 1)]
        hint = f" Did you mean {near[0]}?" if near else " `archlint rules` lists them."
        return UnknownRuleError(f"no rule {code!r}.{hint}")
