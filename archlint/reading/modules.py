"""What every layer and model has from its base classes in torch and transformers, for use in constructors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

from archlint.reading.values import Instance, Unknown, Value

if TYPE_CHECKING:
    from archlint.reading.objects import Objects


def children(interpreter: Objects, value: Value) -> dict[str, Value]:
    """The layers right inside of a layer, by name."""
    if isinstance(value, nn.Module):
        return dict(value.named_children())
    return {name: part for name, part in value.attributes.items() if interpreter.is_module(part)}


class Parts(dict[Value, Value]):
    """What ``_modules`` of a layer is: a change of it is a change of the layer."""

    def __init__(self, interpreter: Objects, value: Value) -> None:
        super().__init__(children(interpreter, value))
        self._interpreter = interpreter
        self._value = value

    def __setitem__(self, name: Value, part: Value) -> None:
        super().__setitem__(name, part)
        if isinstance(name, str):
            self._interpreter.set_attribute(self._value, name, part)

    def __delitem__(self, name: Value) -> None:
        self.pop(name)

    def pop(self, name: Value, *default: Value) -> Value:
        held = self._value._modules if isinstance(self._value, nn.Module) else self._value.attributes
        held.pop(name, None)
        return super().pop(name, *default)

    def update(self, *args: Value, **kwargs: Value) -> None:
        for name, part in dict(*args, **kwargs).items():
            self[name] = part


def _walk(interpreter: Objects, value: Value, path: str, seen: set[int]) -> Iterator[tuple[str, Value]]:
    waiting = [(path, value)]
    while waiting:
        path, part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        interpreter.budget.step()
        yield path, part
        inner = children(interpreter, part).items()
        waiting += reversed([(f"{path}.{name}" if path else name, child) for name, child in inner])


def named_modules(interpreter: Objects, value: Value, *_: Value, **__: Value) -> list[tuple[str, Value]]:
    return list(_walk(interpreter, value, "", set()))


def named_parameters(interpreter: Objects, value: Value, *_: Value, **__: Value) -> list[tuple[str, Value]]:
    found = []
    for path, part in named_modules(interpreter, value):
        own = part._parameters if isinstance(part, nn.Module) else part.attributes
        for name, held in own.items():
            if isinstance(held, nn.Parameter):
                found.append((f"{path}.{name}" if path else name, held))
    return found


def _register_buffer(
    interpreter: Objects, value: Value, name: Value, tensor: Value = None, persistent: Value = True
) -> None:
    if isinstance(value, Instance) and isinstance(name, str):
        value.attributes[name] = tensor
        if isinstance(tensor, torch.Tensor):
            value.buffers.add(name)


def _register_parameter(interpreter: Objects, value: Value, name: Value, param: Value = None) -> None:
    if isinstance(name, str):
        if isinstance(param, Unknown):
            interpreter.gap(None, "a parameter is not known", name)
        interpreter.set_attribute(value, name, param)


def _add_module(interpreter: Objects, value: Value, name: Value, module: Value = None) -> None:
    if not isinstance(name, str):
        interpreter.gap(None, "a layer is added under a name that is not known")
        return
    interpreter.set_attribute(value, name, module)


def _itself(interpreter: Objects, value: Value, *_: Value, **__: Value) -> Value:
    return value


def _nothing(interpreter: Objects, value: Value, *_: Value, **__: Value) -> None:
    return None


def _get_submodule(interpreter: Objects, value: Value, path: Value) -> Value:
    if not isinstance(path, str):
        return Unknown("a layer whose name is not known", True)
    for name in path.split(".") if path else ():
        value = interpreter.attribute(value, name)
    return value


def _post_init(interpreter: Objects, value: Value, *_: Value, **__: Value) -> None:
    if isinstance(value, Instance):
        value.finished = True


def _input_embeddings(interpreter: Objects, value: Value) -> Value:
    """As transformers looks for them where a class does not say."""
    name = interpreter.attribute(value, "_input_embed_layer", None, "embed_tokens")
    name = name if isinstance(name, str) else "embed_tokens"
    for path in ((name,), ("embeddings", name), ("model", name)):
        found = value
        for part in path:
            found = interpreter.attribute(found, part, None, None) if found is not None else None
        if found is not None and not isinstance(found, Unknown):
            return found
    for inner in ("language_model", "model"):
        found = interpreter.attribute(value, inner, None, None)
        if isinstance(found, Instance) and found is not value:
            return interpreter.call(interpreter.attribute(found, "get_input_embeddings"), [], {})
    return Unknown("the input embeddings")


def _part(names: tuple[str, ...], method: str) -> Callable[..., Value]:
    """As transformers looks for an encoder or a decoder where a class does not say."""

    def find(interpreter: Objects, value: Value, *_: Value, **__: Value) -> Value:
        for name in names:
            found = interpreter.attribute(value, name, None, None)
            if found is not None and not isinstance(found, Unknown):
                return found
        base = interpreter.attribute(value, "base_model", None, None)
        if isinstance(base, Instance) and base is not value:
            return interpreter.call(interpreter.attribute(base, method), [], {})
        return value

    return find


def base_model(interpreter: Objects, value: Value) -> Value:
    """The part that ``base_model_prefix`` names; the model itself where there is none."""
    prefix = interpreter.attribute(value, "base_model_prefix", None, "")
    return interpreter.attribute(value, prefix, None, value) if isinstance(prefix, str) and prefix else value


def _output_embeddings(interpreter: Objects, value: Value) -> Value:
    return interpreter.attribute(value, "lm_head", None, None)


def _tie(interpreter: Objects, value: Value, one: Value, other: Value) -> None:
    interpreter.set_attribute(one, "weight", interpreter.attribute(other, "weight"))


_WITHOUT_EFFECT = frozenset(
    {"init_weights", "_init_weights", "tie_weights", "initialize_weights", "reset_parameters", "_tie_weights"}
    | {"gradient_checkpointing_enable", "_backward_compatibility_gradient_checkpointing", "compile", "zero_grad"}
    | {"register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook", "load_state_dict"}
    | {"register_load_state_dict_post_hook", "_register_load_state_dict_pre_hook"}
)
"""What changes no layer."""

METHODS: Mapping[str, Callable[..., Value]] = {
    **dict.fromkeys(
        ("to", "half", "float", "bfloat16", "eval", "train", "apply", "requires_grad_", "cuda", "cpu"), _itself
    ),
    **dict.fromkeys(_WITHOUT_EFFECT, _nothing),
    "register_buffer": _register_buffer,
    "register_parameter": _register_parameter,
    "add_module": _add_module,
    "register_module": _add_module,
    "get_submodule": _get_submodule,
    "named_modules": named_modules,
    "modules": lambda interpreter, value: [part for _, part in named_modules(interpreter, value)],
    "named_children": lambda interpreter, value: list(children(interpreter, value).items()),
    "children": lambda interpreter, value: list(children(interpreter, value).values()),
    "named_parameters": named_parameters,
    "parameters": lambda interpreter, value, *_, **__: [part for _, part in named_parameters(interpreter, value)],
    "named_buffers": lambda interpreter, value, *_, **__: [],
    "buffers": lambda interpreter, value, *_, **__: [],
    "state_dict": lambda interpreter, value, *_, **__: dict(named_parameters(interpreter, value)),
    "post_init": _post_init,
    "get_input_embeddings": _input_embeddings,
    "get_output_embeddings": _output_embeddings,
    "get_encoder": _part(("text_encoder", "encoder"), "get_encoder"),
    "get_decoder": _part(("language_model", "text_model", "decoder", "text_decoder"), "get_decoder"),
    "_tie_or_clone_weights": _tie,
    "can_generate": lambda interpreter, value: Unknown("whether it generates"),
}
