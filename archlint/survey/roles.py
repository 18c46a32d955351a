"""The part of the model that each module belongs to: text, a tower, a connector, a head.

transformers' models say what they take: ``input_modalities``, ``main_input_name``, and the sub-config
(``text_config``, ``vision_config``, …) that a sub-model was built from. A composite is read from these; what
lies between its parts is a connector.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from archlint.core.blueprint import Role

_MODALITIES = {
    "text": Role.TEXT,
    "image": Role.VISION,
    "video": Role.VISION,
    "vision": Role.VISION,
    "audio": Role.AUDIO,
    "speech": Role.AUDIO,
}
_INPUTS = {
    "pixel_values": Role.VISION,
    "pixel_values_videos": Role.VISION,
    "flattened_patches": Role.VISION,
    "input_features": Role.AUDIO,
    "input_values": Role.AUDIO,
}
_TOWERS = (Role.VISION, Role.AUDIO)
_COLOURS = 3
"""Channels of an image."""


class Roles:
    """Answers for the role of a module path."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._modules = dict(model.named_modules())
        self._submodels = {path: module for path, module in self._modules.items() if _is_pretrained(module)}
        self._heads = frozenset(self._find_heads())
        self._marks = self._mark()
        self._has_towers = any(role in _TOWERS for role in self._marks.values())
        self._has_text_part = Role.TEXT in self._marks.values()
        self._stack = self._main_stack()

    def of(self, path: str) -> Role:
        """The role of the module at ``path``."""
        for head in _lineage(path):
            if head in self._heads:
                return Role.HEAD
        for part in _lineage(path):
            if part in self._marks:
                return self._marks[part]
        if not self._has_towers:
            return self._whole()
        if self._has_text_part or not self._beside_stack(path):
            return Role.PROJECTOR
        return self._whole()

    def _whole(self) -> Role:
        """The one role of a model without parts."""
        role = _declared(self._model)
        if role is None and not self._embeds_tokens():
            role = _INPUTS.get(_main_input(self._model))  # the text that it declares is points, boxes or the like
        return role or Role.TEXT

    def _embeds_tokens(self) -> bool:
        """Whether the model embeds a vocabulary that its config or a part of it states."""
        vocabularies = frozenset(_vocabularies(getattr(self._model, "config", None)))
        embeddings = (part for part in self._modules.values() if isinstance(part, nn.Embedding))
        return any(embedding.num_embeddings in vocabularies for embedding in embeddings)

    def _mark(self) -> dict[str, Role]:
        marks: dict[str, Role] = {}
        parts = _parts_of_config(getattr(self._model, "config", None))
        for path, module in self._submodels.items():
            if not path or any(parent in marks for parent in _lineage(path)):
                continue
            role = parts.get(id(getattr(module, "config", None))) or _declared(module)
            if role is Role.TEXT and self._holds_tower(path, parts):
                continue  # text is what a class declares that declares nothing, and its parts know better
            if role in _TOWERS and _is_text_decoder(module, self._model):
                role = Role.TEXT
            if role is not None:
                marks[path] = role
        for modality, role in (("image", Role.VISION), ("audio", Role.AUDIO)):
            path = self._encoder(modality)
            if path and not any(part in marks for part in _lineage(path)):
                marks[path] = role
        if not any(role in _TOWERS for role in marks.values()):
            marks.update(dict.fromkeys(self._patching(), Role.VISION))
        if set(marks.values()) == {Role.TEXT} and _declared(self._model) in (None, Role.TEXT):
            return {}  # a language model in several pieces
        return marks

    def _holds_tower(self, path: str, parts: Mapping[int, Role]) -> bool:
        inside = (module for inner, module in self._submodels.items() if inner.startswith(f"{path}."))
        return any(
            (parts.get(id(getattr(module, "config", None))) or _declared(module)) in _TOWERS for module in inside
        )

    def _encoder(self, modality: str) -> str | None:
        """Where transformers' own look-up finds a modality's encoder that declares nothing itself."""
        with contextlib.suppress(Exception):  # the look-up is best-effort, and overridden in many ways
            found = self._model.get_encoder(modality=modality)  # type: ignore[operator]
            if found is not self._model and not _is_pretrained(found):
                return next((path for path, module in self._modules.items() if module is found), None)
        return None

    def _patching(self) -> Iterator[str]:
        """The largest parts beside the token embeddings that begin with a convolution of colours.

        That is what a tower is that nothing declares: a plain module, as repositories' own code has it.
        """
        if not self._embeds_tokens():
            return
        shared = {
            part
            for path, module in self._modules.items()
            if isinstance(module, nn.Embedding)
            for part in _lineage(path)
        }
        for path, module in self._modules.items():
            if isinstance(module, (nn.Conv2d, nn.Conv3d)) and module.in_channels == _COLOURS:
                tower = next((part for part in reversed(list(_lineage(path))) if part not in shared), None)
                if tower is not None and tower != path:
                    yield tower

    def _find_heads(self) -> Iterator[str]:
        for path, module in self._submodels.items():
            prefix = f"{path}." if path else ""
            head = output_embeddings(module)
            if head is not None:
                yield from (name for name, found in self._modules.items() if found is head)
            base = getattr(module, "base_model", module)
            if base is not module and base is not None:
                yield from (
                    f"{prefix}{name}"
                    for name, child in module.named_children()
                    if child is not base and not any(_is_pretrained(part) for part in child.modules())
                )

    def _main_stack(self) -> str:
        """The list of layers outside every marked part that holds most parameters."""
        stacks = {
            path: sum(parameter.numel() for parameter in module.parameters())
            for path, module in self._modules.items()
            if isinstance(module, nn.ModuleList) and not any(part in self._marks for part in _lineage(path))
        }
        return max(stacks, key=lambda path: (stacks[path], -len(path)), default="")

    def _beside_stack(self, path: str) -> bool:
        """Whether ``path`` belongs to the backbone that holds the main stack, and not to a connector beside it."""
        for part in reversed(list(_lineage(path))):
            if self._stack == part or self._stack.startswith(f"{part}."):
                continue
            module = self._modules[part]
            return (
                part.startswith(f"{self._stack}.")
                or isinstance(module, (nn.ModuleList, nn.Embedding))
                or not any(isinstance(layer, nn.Linear) for layer in module.modules())
            )
        return True


def output_embeddings(module: nn.Module) -> nn.Module | None:
    """What ``get_output_embeddings`` gives, or ``None`` where the class has none or refuses to say."""
    with contextlib.suppress(Exception):  # some classes raise NotImplementedError, some AttributeError
        found = module.get_output_embeddings()  # type: ignore[operator]
        return found if isinstance(found, nn.Module) else None
    return None


def _is_pretrained(module: nn.Module) -> bool:
    from transformers import PreTrainedModel

    return isinstance(module, PreTrainedModel)


def _lineage(path: str) -> Iterator[str]:
    """``path`` and its ancestors, nearest first, without the root."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _declared(module: nn.Module) -> Role | None:
    """The one modality that a model declares; ``None`` where there are several, or none that is known."""
    declared = getattr(module, "input_modalities", ())
    names = (declared,) if isinstance(declared, str) else tuple(declared)
    roles = {_MODALITIES[name] for name in names if name in _MODALITIES}
    taken = _INPUTS.get(_main_input(module))
    if roles == {Role.TEXT} and taken is not None:
        return taken  # text is what a class declares that declares nothing
    if len(roles) == 1:
        return roles.pop()
    has_parts = any(_is_pretrained(part) for part in module.modules() if part is not module)
    return taken if taken in roles and not has_parts else None


def _parts_of_config(config: Any, found: dict[int, Role] | None = None) -> dict[int, Role]:
    """The role of each sub-config, by its identity: the key that holds it tells."""
    found = {} if found is None else found
    for key in getattr(config, "sub_configs", None) or ():
        part = getattr(config, key, None)
        if part is None or id(part) in found:
            continue
        role = next((role for word, role in _MODALITIES.items() if word in key), None)
        if role is not None:
            found[id(part)] = role
        else:
            _parts_of_config(part, found)
    return found


def _is_text_decoder(module: nn.Module, model: nn.Module) -> bool:
    """Whether a part that declares its parent's modality reads tokens: the decoder of a speech recogniser."""
    if _main_input(module) != "input_ids":
        return False
    vocabulary = getattr(getattr(model, "config", None), "vocab_size", None)
    return any(isinstance(part, nn.Embedding) and part.num_embeddings == vocabulary for part in module.modules())


def _vocabularies(config: Any) -> Iterator[int]:
    """The sizes of the vocabularies that a config and its parts state."""
    size = getattr(config, "vocab_size", None)
    if isinstance(size, int):
        yield size
    for key in getattr(config, "sub_configs", None) or ():
        yield from _vocabularies(getattr(config, key, None))


def _main_input(module: nn.Module) -> str:
    return str(getattr(module, "main_input_name", ""))


def longest_stacks(model: nn.Module, roles: Roles) -> Mapping[str, int]:
    """Number of layers of the longest list of layers in each role."""
    stacks: dict[str, int] = {}
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and not any(part.isdigit() for part in path.split(".")):
            role = roles.of(path).value
            stacks[role] = max(stacks.get(role, 0), len(module))
    return stacks
