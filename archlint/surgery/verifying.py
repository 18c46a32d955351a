"""A patch from end to end: a small copy of the model is patched, adapted, trained, merged, put back, saved, loaded."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from archlint.core.blueprint import Blueprint, Role, Scope
from archlint.core.folding import without_indices
from archlint.core.safety import Safety
from archlint.core.surgery import Step
from archlint.running import Batch, NoLossError, NoSmallCopyError, batches, one_thread, restored, small_copy, watched
from archlint.running.modal import modal_batches
from archlint.running.step import forward, step
from archlint.surgery.patch import Patch, PatchError
from archlint.surgery.real import LIMIT, draw_limits

STEPS = 3
"""Steps of the optimizer: enough that both matrices of an adapter have changed."""
_ROUNDING = 1e-3
"""How far sums of the same products may lie apart, in standard deviations of the outputs of a whole model."""
_BLUR = 1e-6
"""A relative change of weights that is about what rounding does to sums."""
_RANK = 4
_PARTS = (Scope.TEXT, Scope.VISION, Scope.AUDIO)
_TOWERS = (Role.VISION, Role.AUDIO)
_MOST_GUESSES = 24
"""Batches that are tried for a part that nothing tells of."""


class _StepError(Exception):
    """A step went wrong; the message says how."""


_Seen = tuple[str, Safety | None]


def verify(
    model: nn.Module, blueprint: Blueprint, patch: Patch, remade: Callable[[nn.Module], Patch | None] = lambda _: None
) -> Iterator[Step]:
    """Each step of the trial of ``patch``, as it is done; the first that fails is the last.

    Args:
        model: on the meta device, without the patch; it stays as it is.
        remade: makes the same patch for a small copy, where it depends on sizes.

    Raises:
        NoSmallCopyError: no small copy of the model has its structure and can be run, or takes the patch.
        PatchError: the file raises when it is run, defines neither ``unwrap`` nor ``register``, or does not fit.
    """
    if patch.function("unwrap") is None and patch.function("register") is None:
        raise PatchError(f"{patch.name} defines neither unwrap(model) nor register(config, model)")
    with torch.random.fork_rng(devices=[]), one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        try:
            paths = touched(model, patch)
        except Exception as error:  # somebody's own file
            raise PatchError(f"{patch.name} raises on the model: {type(error).__name__}: {error}") from error
        if not paths:
            lack = "changes no module of it" if patch.function("unwrap") else "has none of its classes in WRAPPERS"
            raise PatchError(f"{patch.name} does not fit the model: it {lack}")
        copied, batch = _copy(model, blueprint, paths)
        trial = _Trial(copied, batch, _fitting(patch, copied, remade))
        for name, act in trial.steps():
            try:
                told, safety = act()
            except _StepError as error:
                yield Step(name, False, str(error))
                return
            except Exception as error:  # a patch, PEFT and a model's code raise whatever they are led to
                yield Step(name, False, f"{type(error).__name__}: {' '.join(str(error).split())}")
                return
            yield Step(name, True, told, safety)


def _fitting(patch: Patch, copied: nn.Module, remade: Callable[[nn.Module], Patch | None]) -> Patch:
    """``patch`` where a small copy takes it, or the same made for the copy."""
    try:
        touched(copied, patch)
    except Exception as error:  # somebody's own file
        if (other := remade(copied)) is not None:
            return other
        raise NoSmallCopyError(f"the patch fits the model, and no small copy of it: {error}") from error
    return patch


def touched(model: nn.Module, patch: Patch) -> frozenset[str]:
    """Paths of what ``patch`` changes in ``model``, or has PEFT adapt; ``model`` stays as it is.

    Raises:
        Exception: whatever the file's code raises.
    """
    unwrap = patch.function("unwrap")
    if unwrap is None:
        classes = getattr(patch.module, "WRAPPERS", ())
        return frozenset(path for path, part in model.named_modules() if type(part).__name__ in classes)
    before = _places(model)
    with restored(model):
        unwrap(model)
        after = _places(model)
    return frozenset(path for path, place in before.items() if after.get(path) != place)


def _places(model: nn.Module) -> dict[str, tuple[int, type[nn.Module], tuple[str, ...]]]:
    """What stands where: a patch may put another module there, or change the one that is there."""
    return {path: (id(part), type(part), (*part._parameters, *part._modules)) for path, part in model.named_modules()}


def _copy(model: nn.Module, blueprint: Blueprint, paths: Collection[str]) -> tuple[nn.Module, Batch]:
    """A small copy, and a batch that trains it and runs something at ``paths``."""
    wanted = {without_indices(path) for path in paths}
    reasons: list[NoSmallCopyError] = []
    for making in _makings(blueprint, paths):
        try:
            copied = small_copy(model, making)
        except NoSmallCopyError as error:
            reasons.append(error)
            continue
        names = {id(module): without_indices(path) for path, module in copied.named_modules()}
        for batch in making(copied):
            try:
                with restored(copied), watched() as use:
                    step(copied, batch, "cpu")
            except Exception:  # a model's code raises whatever its inputs lead it to
                continue
            if wanted.intersection(names[part] for part in use.called if part in names):
                return copied, batch
    raise next(iter(reasons), NoSmallCopyError("no batch that trains it runs what the patch changes"))


def _makings(blueprint: Blueprint, paths: Collection[str]) -> Iterator[Callable[[nn.Module], Iterator[Batch]]]:
    """What makes batches, in turn: for all parts that ``paths`` are in, for each, for text, and for other towers."""
    roles = frozenset(site.role for site in blueprint.sites)
    within = frozenset(site.role for site in blueprint.sites if _within(site.path, paths))
    parts = [scope for scope in _PARTS if Role(scope.value) in within]
    for scope in dict.fromkeys([*(parts if len(parts) == 1 else [Scope.ALL, *parts]), Scope.ALL, Scope.TEXT]):
        yield partial(batches, blueprint=dataclasses.replace(blueprint, scope=scope))
    for role in _TOWERS:
        if role not in roles:  # a class may take pictures or sounds and not say so
            yield partial(_guesses, role=role)


def _guesses(model: nn.Module, role: Role) -> Iterator[Batch]:
    return itertools.islice(modal_batches(model, (role,)), _MOST_GUESSES)


def _within(path: str, parts: Collection[str]) -> bool:
    return path in parts or path.rpartition(".")[0] in parts


class _Trial:
    """A small copy on its way through the steps."""

    def __init__(self, model: nn.Module, batch: Batch, patch: Patch) -> None:
        self._model = model
        self._batch = batch
        self._patch = patch
        with torch.no_grad():
            self._limits = draw_limits(lambda: forward(model.eval(), batch, "cpu"))
        self._original = copy.deepcopy(model)
        self._targets: list[str] = []
        self._adapted: Any = None
        self._trained: list[Tensor] = []
        self._rounding = _ROUNDING

    def steps(self) -> Iterator[tuple[str, Callable[[], _Seen]]]:
        """What is done, in order."""
        if self._patch.function("unwrap") is not None:
            yield "unwrap", self._unwrap
            yield "unwrap again", self._unwrap_again
            yield "forward", self._forward
            yield "state dict", self._state_dict
        yield "inject adapters", self._inject
        yield f"train {STEPS} steps", self._train
        yield "adapter on the original", self._adapter_elsewhere
        yield "merge", self._merge
        yield "rewrap", self._rewrap
        yield "save and load", self._save_and_load

    def _unwrap(self) -> _Seen:
        linears = {path: part for path, part in self._model.named_modules() if isinstance(part, nn.Linear)}
        before = _places(self._model)
        self._call("unwrap", self._model)
        after = _places(self._model)
        if before == after:
            raise _StepError("no module of the model has changed")
        self._targets = [
            path
            for path, part in self._model.named_modules()
            if isinstance(part, nn.Linear) and linears.get(path) is not part
        ]
        modules = dict(self._model.named_modules())
        gone = [path for path in linears if path in modules and not isinstance(modules[path], nn.Linear)]
        found = [f"{len(self._targets)} linears are where there were none"] if self._targets else []
        passed = [f"{len(gone)} layers are no nn.Linear any more"] if gone else []
        return " and ".join([*found, *passed]) or "modules have changed", None

    def _unwrap_again(self) -> _Seen:
        before = _places(self._model)
        self._call("unwrap", self._model)
        if before != _places(self._model):
            raise _StepError("it changes a model that is unwrapped already")
        return "nothing changes", None

    def _forward(self) -> _Seen:
        told, safety = self._compared(self._outputs(self._original), self._outputs(self._model), "the original")
        limits = f", with {self._limits} limits at ±{LIMIT:g} of what they bound" if self._limits else ""
        return told + limits, safety

    def _state_dict(self) -> _Seen:
        outwards, inwards = self._patch.function("to_unwrapped"), self._patch.function("to_original")
        if outwards is None or inwards is None:
            return "not checked: the file has no to_unwrapped and to_original", None
        original = self._original.state_dict()
        copy.deepcopy(self._model).load_state_dict(outwards(original, self._model))
        _same_tensors(original, inwards(self._model.state_dict(), self._model))
        return "the original's loads, and comes back bit for bit", None

    def _inject(self) -> _Seen:
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(r=_RANK, target_modules=self._targets or "all-linear")
        register = self._patch.function("register")
        if register is not None:
            classes = getattr(self._patch.module, "WRAPPERS", ())
            self._targets = [path for path, part in self._model.named_modules() if type(part).__name__ in classes]
            config = register(LoraConfig(r=_RANK, target_modules=self._targets), self._model)
        self._adapted = get_peft_model(self._model, config)
        return f"{len(self._adapters())} adapters", None

    def _adapters(self) -> dict[str, Any]:
        from peft.tuners.tuners_utils import BaseTunerLayer

        return {path: part for path, part in self._model.named_modules() if isinstance(part, BaseTunerLayer)}

    def _train(self) -> _Seen:
        trainable = [parameter for parameter in self._adapted.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trainable, lr=1e-2)
        buffers = {buffer: buffer.clone() for buffer in self._model.buffers()}
        for _ in range(STEPS):
            optimizer.zero_grad()
            self._step()
            optimizer.step()
        for buffer, before in buffers.items():
            buffer.copy_(before)  # no adapter holds the statistics that a norm has gathered
        layers = self._adapters()
        alive = [path for path, layer in layers.items() if all(p.grad is not None for p in layer.lora_B.parameters())]
        if not alive:
            raise _StepError("no adapter gets a gradient")
        self._trained = self._outputs(self._model)
        self._rounding = max(_ROUNDING, self._blurred())
        what = "every adapter gets" if len(alive) == len(layers) else f"{len(alive)} of {len(layers)} adapters get"
        return f"{what} a gradient on a batch of {', '.join(self._batch.inputs)}", None

    def _step(self) -> None:
        model: Any = self._model
        try:
            step(model, self._batch, "cpu")
        except NoLossError:
            if not hasattr(model, "enable_input_require_grads"):
                raise
            model.enable_input_require_grads()  # code that computes gradients itself wants one of its input
            step(model, self._batch, "cpu")

    def _adapter_elsewhere(self) -> _Seen:
        from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

        inwards, register = self._patch.function("to_original"), self._patch.function("register")
        if inwards is None and register is None:
            return "not checked: the file has no to_original", None
        state, original = get_peft_model_state_dict(self._adapted), copy.deepcopy(self._original)
        config = LoraConfig(r=_RANK, target_modules=self._targets or "all-linear")
        if register is not None:
            config = register(config, original)
        elif inwards is not None:
            config = self._original_config(state)
            state = inwards(state, self._model)
        model = get_peft_model(original, config)
        left: Any = set_peft_model_state_dict(model, state)
        if left.unexpected_keys:
            raise _StepError(f"the original has no {left.unexpected_keys[0]}")
        return self._compared(self._trained, self._outputs(original), "what was trained")

    def _original_config(self, state: Mapping[str, Tensor]) -> Any:
        """The config for an adapter of the original: as the file says, or for the layers that its weights name."""
        from peft import LoraConfig

        convert, inwards = self._patch.function("original_config"), self._patch.function("to_original")
        assert inwards is not None  # the caller looked
        if convert is None:
            paths = {_module_of(key) for key in inwards(state, self._model)}
            return LoraConfig(r=_RANK, target_modules=sorted(paths))
        given = {"r": _RANK, "lora_alpha": self._adapted.peft_config["default"].lora_alpha}
        return LoraConfig(**convert(given, state, self._model))

    def _merge(self) -> _Seen:
        self._model = self._adapted.merge_and_unload()
        return self._compared(self._trained, self._outputs(self._model), "what was trained")

    def _rewrap(self) -> _Seen:
        if self._patch.function("rewrap") is not None:
            self._call("rewrap", self._model)
        elif self._patch.function("unwrap") is not None:
            raise _StepError("the file has no rewrap(model): a checkpoint would not have the original's keys")
        _same_keys(self._original.state_dict(), self._model.state_dict())
        told, safety = self._compared(self._trained, self._outputs(self._model), "what was trained")
        return f"the original's keys; {told}", safety

    def _save_and_load(self) -> _Seen:
        state = self._model.state_dict()
        if hasattr(self._model, "save_pretrained"):
            try:
                _same_tensors(state, _reloaded(self._model))
            except Exception as error:  # a model's code raises whatever it is led to
                if isinstance(error, _StepError) or not _fails(lambda: _reloaded(self._original)):
                    raise
            else:
                self._compare_with_original(self._loaded(state))
                return "save_pretrained, and from_pretrained of the original class, bit for bit", None
        with tempfile.TemporaryDirectory(prefix="archlint-") as folder:
            torch.save(state, file := Path(folder) / "state.pt")
            loaded = self._loaded(torch.load(file))
        _same_tensors(state, loaded.state_dict())
        self._compare_with_original(loaded)
        return "the state dict loads into the original, bit for bit", None

    def _loaded(self, state: Mapping[str, Tensor]) -> nn.Module:
        """The original with the values of ``state``."""
        original = copy.deepcopy(self._original)
        original.load_state_dict(state)
        return original

    def _compare_with_original(self, original: nn.Module) -> None:
        """Refuse a model that is not the original any more, though it has its keys and values."""
        told, safety = self._compared(self._outputs(self._model), self._outputs(original), "what was rewrapped")
        if safety is Safety.LOSSY:
            raise _StepError(f"with these weights the original {told}")

    def _call(self, name: str, *arguments: Any) -> Any:
        function = self._patch.function(name)
        assert function is not None  # the caller looked
        return function(*arguments)

    def _outputs(self, model: nn.Module) -> list[Tensor]:
        with torch.no_grad():
            outputs = forward(model.eval(), self._batch, "cpu")
        leaves = tree_leaves(dict(outputs) if isinstance(outputs, Mapping) else outputs)
        return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]

    def _blurred(self) -> float:
        """How far outputs move where weights do by about a rounding: models amplify that, some a thousandfold."""
        other = copy.deepcopy(self._model)
        with torch.no_grad():
            for parameter in other.parameters():
                if parameter.is_floating_point():
                    parameter.mul_(1 + _BLUR * torch.randn_like(parameter))
        far = max(map(_distance, self._trained, self._outputs(other)), default=0.0)
        return far if math.isfinite(far) else 0.0

    def _compared(self, one: Collection[Tensor], other: Collection[Tensor], than: str) -> _Seen:
        if [tensor.shape for tensor in one] != [tensor.shape for tensor in other]:
            raise _StepError(f"the outputs have other shapes than those of {than}")
        far = max(map(_distance, one, other), default=0.0)
        if not far:
            return f"the same as {than}, bit for bit", Safety.EXACT
        if far <= self._rounding:
            return f"the same as {than}, up to rounding ({far:.1g})", Safety.EXACT
        return f"differs from {than} by up to {far:.2g} standard deviations of the outputs", Safety.LOSSY


def _reloaded(model: Any) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory(prefix="archlint-") as folder:
        model.save_pretrained(folder)
        loaded = type(model).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    state: dict[str, Tensor] = loaded.state_dict()
    return state


def _fails(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except Exception:  # as above
        return True
    return False


def _distance(one: Tensor, other: Tensor) -> float:
    if torch.equal(one, other):
        return 0.0
    far = float((one - other).abs().max() / (one.std() if one.numel() > 1 else one.abs()))
    return far if math.isfinite(far) else math.inf


def _module_of(key: str) -> str:
    """The path of the module that an adapter's weight belongs to."""
    return key.removeprefix("base_model.model.").partition(".lora_")[0]


def _same_keys(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    if missing := one.keys() - other.keys():
        raise _StepError(f"the state dict has no {min(missing)}")
    if added := other.keys() - one.keys():
        raise _StepError(f"the state dict has {min(added)} besides")


def _same_tensors(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    _same_keys(one, other)
    if changed := [key for key, tensor in one.items() if not torch.equal(tensor, other[key])]:
        raise _StepError(f"{changed[0]} has other values")
