"""Names as PEFT's lists match them: a name reaches every path that equals it or ends in a dot and it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator


def reached_by(name: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Those of ``paths`` that ``name`` reaches in a list of targets."""
    return tuple(path for path in paths if path == name or path.endswith(f".{name}"))


def suffixes(wanted: Collection[str], others: Iterable[str], *, numbered: bool = False) -> list[str] | None:
    """The shortest names that together reach all of ``wanted`` and none of ``others``.

    ``None`` where that takes the index of a layer: such names would be as many as there are layers. With
    ``numbered`` a name may end in a number, as the path of a linear in a sequence does (``mlp.0``).
    """
    taken = {suffix for path in others for suffix in _suffixes(path)}
    found: dict[str, None] = {}
    for path in wanted:
        name = next((suffix for suffix in _suffixes(path) if suffix not in taken and not suffix.isdigit()), None)
        if name is None or any(part.isdigit() for part in name.split(".")[: -1 if numbered else None]):
            return None
        found[name] = None
    return list(found)


def _suffixes(path: str) -> Iterator[str]:
    """Every dotted ending of ``path``, shortest first."""
    start = len(path)
    while start > 0:
        start = path.rfind(".", 0, start)
        yield path[start + 1 :]
