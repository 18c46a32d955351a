"""What the part of a model that reads pixels or audio takes: by the sizes of its config, and by its first layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from archlint.core.blueprint import Role
from archlint.survey.roles import Roles

_WORDS: Mapping[Role, tuple[str, ...]] = {
    Role.VISION: ("vision", "image", "visual", "video", "vit"),
    Role.AUDIO: ("audio", "speech", "sound", "acoustic"),
}
"""What keys of a config call the part of each modality."""


class Tower:
    """The part of ``model`` that reads the modality ``role``."""

    def __init__(self, model: nn.Module, role: Role, roles: Roles) -> None:
        self.role = role
        self._configs = list(_configs(getattr(model, "config", None), _WORDS[role]))
        self._model = model
        self._roles = roles
        self.entry = next(self.layers(), None)
        """The first of :meth:`layers`."""
        self.dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)

    def layers(self) -> Iterator[nn.Module]:
        """Its layers with a weight, in order; embeddings are none."""
        for path, module in self._model.named_modules():
            weight = module._parameters.get("weight")
            if weight is not None and not isinstance(module, nn.Embedding) and self._roles.of(path) is self.role:
                yield module

    def figure(self, *names: str) -> Any:
        """The value of the first of ``names`` that the tower's config has, or else the model's."""
        for config in self._configs:
            for name in names:
                value = config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)
                if value is not None:
                    return value
        return None

    def number(self, *names: str, default: int) -> int:
        """:meth:`figure`, as one whole number: of several the last."""
        return self.pair(*names, default=default)[1]

    def pair(self, *names: str, default: int) -> tuple[int, int]:
        """:meth:`figure`, as height and width."""
        value = self.figure(*names)
        if isinstance(value, Mapping):
            value = [value["height"], value["width"]] if {"height", "width"} <= set(value) else list(value.values())
        numbers = [n for n in (value if isinstance(value, (list, tuple)) else [value]) if type(n) is int]
        return (numbers[-2:][0], numbers[-1]) if numbers else (default, default)

    def special_tokens(self) -> frozenset[int]:
        """The tokens that the config gives a name."""
        return frozenset(
            value
            for config in self._configs
            for name, value in (config if isinstance(config, Mapping) else vars(config)).items()
            if name.endswith(("_token_id", "_token_index")) and isinstance(value, int)
        )

    def values(self, *shape: int) -> Tensor:
        """A tensor for the tower to read, of values between -1 and 1."""
        size = torch.Size(shape)
        return torch.linspace(-1, 1, size.numel(), device="cpu").reshape(size).to(self.dtype)


def _configs(config: Any, words: tuple[str, ...]) -> Iterator[Any]:
    """The parts of ``config`` that are called by one of ``words``, then the others, ``config`` itself last."""
    held = vars(config) if hasattr(config, "__dict__") else {}
    parts = {key: value for key, value in held.items() if hasattr(value, "to_dict") or _is_plain_config(key, value)}
    for named in (True, False):
        for key, part in parts.items():
            if any(word in key for word in words) is named:
                yield from _configs(part, words)
    if config is not None:
        yield config


def _is_plain_config(key: str, value: object) -> bool:
    return key.endswith("_config") and isinstance(value, Mapping)
