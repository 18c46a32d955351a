"""What stands in a patch file for stacked experts: a linear for each matrix."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from archlint.surgery.templates.constants import MADE_FOR
from archlint.surgery.templates.products import Matrix

STACKS: dict[str, dict[str, str]] = {}
"""The classes of experts, and of each of their stacks how a matrix lies in it."""


class Stack(nn.Module):
    """Linears in the place of the parameter that is their weights: ``expert0``, ...

    The experts' own code goes on as if this were the parameter, ``(experts, out, in)``
    or ``(experts, in, out)``: multiplying by one of its matrices, or by all, runs the
    linears.
    """

    transposed: bool
    """Whether the matrices are ``(in, out)``."""
    implementation: str | None = None
    """How transformers was told to compute the experts before."""

    def __init__(self, parameter: Tensor, *, transposed: bool) -> None:
        super().__init__()
        self.transposed = transposed
        for index, matrix in enumerate(parameter.detach()):
            weight = matrix.T if transposed else matrix
            rows, columns = weight.shape
            linear = nn.Linear(columns, rows, bias=False, device="meta")
            linear.weight = nn.Parameter(weight, parameter.requires_grad)  # no copy
            self.add_module(f"expert{index}", linear)

    def forward(self, rows: Tensor) -> Tensor:
        """Multiply the rows of each expert, ``(experts, rows, in)``, by its matrix."""
        pairs = zip(self._modules, rows, strict=True)
        return torch.stack([self.get_submodule(name)(own) for name, own in pairs])

    def parameter(self) -> nn.Parameter:
        """The parameter that this stands for, with the values that it has by now."""
        weights = [self[index].weight for index in range(len(self))]
        matrices = [weight.T if self.transposed else weight for weight in weights]
        return nn.Parameter(
            _whole([matrix.detach() for matrix in matrices]),
            any(weight.requires_grad for weight in weights),
        )

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Multiply by all matrices at once, the rows of each expert by its own."""
        given = [
            Matrix(value, transposed=value.transposed)
            if isinstance(value, Stack)
            else value
            for value in args
        ]
        return function(*given, **kwargs or {})

    def __getitem__(self, index: int | Tensor) -> Matrix:
        """The matrix of one expert."""
        linear = self.get_submodule(f"expert{int(index)}")
        return Matrix(linear, transposed=self.transposed)

    def __len__(self) -> int:
        return len(self._modules)

    def transpose(self, *dimensions: int) -> Matrix:
        """All matrices, each transposed."""
        return Matrix(self, transposed=not self.transposed)

    @property
    def shape(self) -> torch.Size:
        """That of the parameter."""
        weight = self[0].weight
        return torch.Size([len(self), *(weight.T if self.transposed else weight).shape])


def unwrap(model: nn.Module) -> nn.Module:
    """Make a linear of each matrix of each expert, and return ``model``.

    A model that is unwrapped stays as it is. The linears' weights lie where the stacked
    parameter has them: nothing is copied. Experts are computed one after the other from
    now on, as with ``experts_implementation="eager"``.

    Raises:
        ValueError: the model has no such experts, or ones unlike those that this file
            was made for.
    """
    found = _experts(model)
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no {' or '.join(STACKS)}: "
            f"this patch is for {MADE_FOR}"
        )
    for path, experts in found.items():
        _check(path, experts)
    for experts in found.values():
        for name, lie in STACKS[type(experts).__name__].items():
            if name in experts._parameters:
                parameter = experts._parameters.pop(name)
                stack = Stack(parameter, transposed=lie == "in, out")
                stack.implementation = _implementation(experts)
                setattr(experts, name, stack.train(experts.training))
    for experts in found.values():
        _implement(experts, "eager")
    return model


def rewrap(model: nn.Module) -> nn.Module:
    """Stack the experts' weights again, and return ``model``.

    Its state dict has the original's keys again. Where weights have moved since, to
    another device or type, each stack is copied in turn.

    Raises:
        ValueError: a linear carries an adapter, which is to be merged or unloaded
            first.
    """
    stacks = [
        (path, experts, name, stack)
        for path, experts in _experts(model).items()
        for name, stack in experts.named_children()
        if isinstance(stack, Stack)
    ]
    for path, _, name, stack in stacks:
        if any(type(linear) is not nn.Linear for linear in stack.children()):
            raise ValueError(
                f"{path}.{name} carries an adapter: "
                "model = model.merge_and_unload(), then rewrap(model)"
            )
    for _, experts, name, stack in stacks:
        delattr(experts, name)
        experts.register_parameter(name, stack.parameter())
        _implement(experts, stack.implementation)
    return model


def to_original(
    state_dict: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Tensor]:
    """``state_dict`` of the unwrapped model, or of a LoRA for it, for the original.

    The original takes such a LoRA by ``target_parameters``: see
    :func:`original_config`. All experts of a stack have one there: zeros, where an
    expert had none.

    Args:
        state_dict: keyed as by ``model.state_dict()``, or as in PEFT's
            ``adapter_model.safetensors``.
        model: the model, unwrapped or not.

    Raises:
        ValueError: weights of a stack are missing, or there are adapters of several
            ranks in it, or such that are no plain LoRA.
    """
    places = _places(model)
    converted: dict[str, Tensor] = {}
    parts: dict[str, dict[str, dict[int, Tensor]]] = {}
    for key, tensor in state_dict.items():
        match = re.fullmatch(r"(.+)\.expert(\d+)\.(.+)", key)
        if match and _bare(match[1]) in places:
            layers = parts.setdefault(match[1], {})
            layers.setdefault(match[3], {})[int(match[2])] = tensor
        else:
            converted[key] = tensor
    adapted = {key for key, layers in parts.items() if layers.keys() - {"weight"}}
    for key, layers in parts.items():
        place = places[_bare(key)]
        if "weight" in layers:
            converted[key] = _stacked(layers.pop("weight"), place, key)
        owner = key.rpartition(".")[0]
        around = adapted & {f"{owner}.{name}" for name in place.after}
        owner += ".base_layer" * len(around)  # PEFT puts one around the other
        for rest, tensors in layers.items():
            name, matrix = _stacked_lora(rest, tensors, place, key)
            converted[f"{owner}.{name}"] = matrix
    return converted


def to_unwrapped(
    state_dict: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Tensor]:
    """The way back: ``state_dict`` of the original, or of a LoRA for all its stacks.

    Raises:
        ValueError: a LoRA is for some of the stacks only, and does not say which.
    """
    places = _places(model)
    converted: dict[str, Tensor] = {}
    loras: dict[str, dict[str, Tensor]] = {}
    for key, tensor in state_dict.items():
        match = re.fullmatch(r"(.+?)((?:\.base_layer)*)\.(lora_[AB]\..+)", key)
        if _bare(key) in places:
            place = places[_bare(key)]
            for index, matrix in enumerate(tensor):
                weight = matrix.T if place.transposed else matrix
                converted[f"{key}.expert{index}.weight"] = weight.contiguous()
        elif match and any(_bare(match[1]) == place.owner for place in places.values()):
            loras.setdefault(match[1], {})[f"{match[2]}.{match[3]}"] = tensor
        else:
            converted[key] = tensor
    for owner, layers in loras.items():
        stacks = [place for place in places.values() if place.owner == _bare(owner)]
        if len({key.count(".base_layer") for key in layers}) != len(stacks):
            raise ValueError(f"the LoRA of {owner} is not for all of its stacks")
        for key, tensor in layers.items():
            depth = key.count(".base_layer")
            place = next(place for place in stacks if len(place.after) == depth)
            rest = key.removeprefix(".base_layer" * depth + ".")
            name, matrices = _split_lora(rest, tensor, place)
            for index, matrix in enumerate(matrices):
                converted[f"{owner}.{place.name}.expert{index}.{name}"] = matrix
    return converted


def original_config(
    config: Mapping[str, Any], state_dict: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Any]:
    """The ``adapter_config.json`` for what :func:`to_original` makes of a LoRA.

    PEFT has no dropout for parameters: the original gets none.

    Args:
        config: what ``adapter_config.json`` says of the LoRA on the unwrapped model.
        state_dict: that LoRA, not yet converted.
        model: the model, unwrapped or not.

    Raises:
        ValueError: layers have ranks or alphas of their own.
    """
    if config.get("rank_pattern") or config.get("alpha_pattern"):
        raise ValueError("rank_pattern and alpha_pattern are not converted")
    places = _places(model)
    paths = {_bare(key).partition(".lora_")[0] for key in state_dict}
    stacks = {path: path.rpartition(".expert")[0] for path in paths}
    return {
        **config,
        "target_modules": sorted(path for path in paths if stacks[path] not in places),
        "target_parameters": sorted(places.keys() & set(stacks.values())),
        "layers_to_transform": None,
        "layers_pattern": None,
        "lora_dropout": 0.0,
    }


class _Place(NamedTuple):
    """A stack of a model."""

    owner: str
    """The path of the experts."""
    name: str
    after: tuple[str, ...]
    """The names of the experts' other stacks, as far as they come after this one."""
    experts: int
    transposed: bool
    swapped: bool
    """Whether PEFT takes inputs for outputs, and the other way round."""


def _places(model: nn.Module) -> dict[str, _Place]:
    """By the name that the parameter has in the original."""
    places = {}
    for path, experts in _experts(model).items():
        owner = _bare(path).replace(".base_layer", "")
        stacks = STACKS[type(experts).__name__]
        for index, (name, lie) in enumerate(stacks.items()):
            transposed = lie == "in, out"
            places[f"{owner}.{name}"] = _Place(
                owner,
                name,
                tuple(stacks)[index + 1 :],
                len(getattr(experts, name)),
                transposed,
                transposed != getattr(experts, "is_transposed", False),
            )
    return places


def _stacked(tensors: Mapping[int, Tensor], place: _Place, key: str) -> Tensor:
    """The weights of all experts as one parameter."""
    if tensors.keys() != set(range(place.experts)):
        raise ValueError(f"{key} has {place.experts} experts, not {len(tensors)}")
    weights = [tensors[index] for index in range(place.experts)]
    return torch.stack([weight.T if place.transposed else weight for weight in weights])


def _stacked_lora(
    name: str, tensors: Mapping[int, Tensor], place: _Place, key: str
) -> tuple[str, Tensor]:
    """One of LoRA's two matrices, of all experts, as PEFT has it for a parameter.

    They are ``(experts * rank, in)`` and ``(out, rank * experts)``.
    """
    if not name.startswith(("lora_A.", "lora_B.")):
        raise ValueError(f"{key} has {name}, which parameters have not")
    zeros = torch.zeros_like(next(iter(tensors.values())))
    if any(tensor.shape != zeros.shape for tensor in tensors.values()):
        raise ValueError(f"{key} has adapters of several ranks")
    matrices = [tensors.get(index, zeros) for index in range(place.experts)]
    if place.swapped:
        name = _other(name)
        matrices = [matrix.T for matrix in matrices]
    if name.startswith("lora_A."):
        return name, torch.cat(matrices)
    return name, torch.stack(matrices, dim=-1).flatten(1)


def _split_lora(name: str, matrix: Tensor, place: _Place) -> tuple[str, list[Tensor]]:
    """The way back."""
    if name.startswith("lora_A."):
        matrices = matrix.unflatten(0, (place.experts, -1)).unbind()
    else:
        matrices = matrix.unflatten(1, (-1, place.experts)).unbind(-1)
    if place.swapped:
        name = _other(name)
        matrices = tuple(matrix.T for matrix in matrices)
    return name, [matrix.contiguous() for matrix in matrices]


def _other(name: str) -> str:
    """``lora_A`` for ``lora_B``, and the other way round."""
    first, rest = name.split(".", 1)
    return f"{'lora_B' if first == 'lora_A' else 'lora_A'}.{rest}"


def _experts(model: nn.Module) -> dict[str, Any]:
    return {
        path: module
        for path, module in model.named_modules()
        if type(module).__name__ in STACKS
    }


def _check(path: str, experts: nn.Module) -> None:
    if path.endswith("base_layer"):
        raise ValueError(f"{path} carries an adapter: unwrap before adapters are added")
    for name in STACKS[type(experts).__name__]:
        stack = getattr(experts, name, None)
        if isinstance(stack, Stack):
            continue
        if (
            not isinstance(stack, nn.Parameter)
            or stack.dim() != 3
            or not stack.is_floating_point()
        ):
            raise ValueError(
                f"{path} has no parameter {name} of three dimensions: "
                "make a patch for this model"
            )


def _implementation(experts: Any) -> str | None:
    """How transformers is told to compute the experts; ``None`` where it is not."""
    config = getattr(experts, "config", None)
    return getattr(config, "_experts_implementation", None)


def _implement(experts: Any, implementation: str | None) -> None:
    if implementation is not None and _implementation(experts) is not None:
        experts.config._experts_implementation = implementation


def _whole(matrices: Sequence[Tensor]) -> Tensor:
    """The matrices stacked; no copy where they lie one behind the other."""
    first = matrices[0]
    size = first.numel()
    in_line = all(
        matrix.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        and matrix.storage_offset() == first.storage_offset() + index * size
        and matrix.is_contiguous()
        for index, matrix in enumerate(matrices)
    )
    if in_line:
        return first.as_strided((len(matrices), *first.shape), (size, *first.stride()))
    return torch.stack(list(matrices))


def _bare(key: str) -> str:
    return key.removeprefix("base_model.model.")
