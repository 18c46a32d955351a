"""Names and shapes of the tensors in a safetensors file, by its header alone: no weights are read."""

from __future__ import annotations

from pathlib import Path

from archlint.sources.source import SourceError


def shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in ``file``, by its name.

    Raises:
        SourceError: it cannot be read, or is no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np") as header:
            return {name: tuple(header.get_slice(name).get_shape()) for name in header.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise SourceError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
