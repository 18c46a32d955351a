"""What names stand for while code is read.

Numbers, texts, lists, tables and the like are Python's own, tensors and layers of torch are torch's own, on the meta
device. All else is one of the classes here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

Value: TypeAlias = Any
Scope: TypeAlias = dict[str, Value]


@dataclass(frozen=True, eq=False, slots=True)
class Unknown:
    """What cannot be told."""

    why: str
    may_hold_modules: bool = False


@dataclass(frozen=True, slots=True)
class External:
    """A name of an installed library, by its full path; what it stands for is not looked into."""

    path: str

    @property
    def package(self) -> str:
        return self.path.partition(".")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Import:
    """A name that is imported once it is used."""

    module: str
    name: str | None
    """``None`` for the module itself."""


@dataclass(eq=False, slots=True)
class Module:
    """A file that is read."""

    name: str
    package: tuple[str, ...]
    """What its relative imports start from."""
    file: Path
    names: Scope = field(default_factory=dict)
    done: bool = False


@dataclass(eq=False)
class Class:
    """A class statement."""

    name: str
    module: Module
    node: ast.ClassDef
    bases: tuple[Value, ...]
    namespace: Scope
    mro: tuple[Value, ...] = ()
    """Itself, then its bases, each a :class:`Class` or an :class:`External`."""
    fields: tuple[tuple[str, ast.expr | None], ...] = ()
    """Annotated names with their defaults, as a data class has them."""
    makes_modules: bool | None = None
    """Whether its objects are layers; ``None`` until that is asked."""
    makes_configs: bool | None = None

    @property
    def read(self) -> Iterator[Class]:
        """Itself and those of its bases whose text is known."""
        return (base for base in self.mro if isinstance(base, Class))

    @property
    def libraries(self) -> Iterator[External]:
        return (base for base in self.mro if isinstance(base, External))

    def find(self, name: str, after: Class | None = None) -> tuple[Class, Value] | External | None:
        """Who has ``name`` first, and what it is; a library's class ends the search, for nobody knows what it has.

        Args:
            after: only what comes after this class counts, as for ``super()``.
        """
        order = self.mro if after is None or after not in self.mro else self.mro[self.mro.index(after) + 1 :]
        for base in order:
            if isinstance(base, Class) and name in base.namespace:
                return base, base.namespace[name]
        return next((base for base in order if isinstance(base, External)), None)

    def has(self, name: str) -> bool:
        return any(name in base.namespace for base in self.read)


@dataclass(eq=False, slots=True)
class Function:
    """A ``def`` or a ``lambda``."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    module: Module
    scopes: tuple[Scope, ...]
    """Those around it, the innermost first."""
    defaults: tuple[Value, ...]
    keyword_defaults: dict[str, Value]
    owner: Class | None = None
    kind: str = "function"
    """``function``, ``property``, ``setter``, ``staticmethod`` or ``classmethod``."""

    is_generator: bool | None = None
    """``None`` until that is asked."""

    @property
    def name(self) -> str:
        return "<lambda>" if isinstance(self.node, ast.Lambda) else self.node.name


@dataclass(eq=False, slots=True)
class Bound:
    """A function with its first argument."""

    function: Function
    receiver: Value


@dataclass(eq=False, slots=True)
class Native:
    """A function that is done here, on values."""

    name: str
    call: Callable[..., Value]
    of: Value = None
    """The class whose method it is, where that is asked."""


@dataclass(eq=False, slots=True)
class Partial:
    function: Value
    args: tuple[Value, ...]
    kwargs: dict[str, Value]


@dataclass(eq=False)
class Instance:
    """An object of a class that is read, of a container of torch, or of a library's config class."""

    cls: Class | External
    attributes: dict[str, Value] = field(default_factory=dict)
    buffers: set[str] = field(default_factory=set)
    finished: bool = False
    """Whether ``post_init`` was called."""
    real: Any = None
    """Of a library's config: the object itself."""
    length: int = 0
    """Of a list of layers: how many there are."""

    def find(self, name: str, after: Class | None = None) -> tuple[Class, Value] | External | None:
        return self.cls.find(name, after) if isinstance(self.cls, Class) else self.cls


@dataclass(frozen=True, eq=False, slots=True)
class Super:
    receiver: Value
    after: Class


def linearized(cls: Class) -> tuple[Value, ...]:
    """The method resolution order, by Python's own rule; where the bases allow none, as they are written."""
    chains = [list(base.mro) if isinstance(base, Class) else [base] for base in cls.bases]
    chains.append(list(cls.bases))
    order: list[Value] = [cls]
    while any(chains):
        heads = (chain[0] for chain in chains if chain)
        head = next((head for head in heads if not any(head in chain[1:] for chain in chains)), None)
        if head is None:
            rest = (base for chain in chains for base in chain)
            return tuple(dict.fromkeys([*order, *rest]))
        order.append(head)
        chains = [[base for base in chain if base != head] for chain in chains]
    return tuple(order)
