"""A live model as the survey needs it: without compilers' and trainers' wrappers, and without adapters."""

from __future__ import annotations

import copy
import sys

import torch
from torch import nn
from torch.nn.parameter import is_lazy


class LiveModelError(Exception):
    """A model object that cannot be checked as it is; the message is one line with what to do."""


def plain_model(model: nn.Module) -> nn.Module:
    """The model that ``model`` wraps, or ``model`` itself; nothing is changed.

    Wrappers are what ``torch.compile`` and torch's data parallelism make: their names for modules are not those
    that PEFT will see.

    Raises:
        LiveModelError: it holds PEFT adapters, or parameters without a shape.
    """
    while (inner := _wrapped(model)) is not None:
        model = inner
    _refuse_adapters(model)
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise LiveModelError(f"{name} has no shape yet: run the model once on a batch, then check it")
    return model


def without_weights(model: nn.Module) -> nn.Module:
    """A copy of ``model`` whose parameters and buffers are on the meta device, or ``model`` itself.

    The copy takes no memory and can be run. It holds no hooks, whoever put them there. A model whose parameters are
    of a class of their own, as quantized ones are, that Python cannot copy, or of which a module got another forward,
    is given back as it is: PEFT can be tried on that, and it cannot be run here.
    """
    from accelerate.hooks import remove_hook_from_submodules

    parameters = list(model.parameters())
    if any(type(parameter) is not nn.Parameter for parameter in parameters):
        return model
    memo: dict[int, object] = {
        id(parameter): nn.Parameter(torch.empty_like(parameter, device="meta"), parameter.requires_grad)
        for parameter in parameters
    }
    memo |= {id(buffer): torch.empty_like(buffer, device="meta") for buffer in model.buffers()}
    try:
        twin = copy.deepcopy(model, memo)
    except Exception:  # anything may hang on a module: locks, handles, generators
        return model
    remove_hook_from_submodules(twin)
    own = set(map(id, twin.modules()))
    for part in twin.modules():
        for name, value in vars(part).items():
            if name.startswith("_") and name.endswith("hooks") and isinstance(value, dict):
                value.clear()
        # a forward that was put on a module may run the model that it was made for
        if "forward" in vars(part) and id(getattr(part.forward, "__self__", None)) not in own:
            return model
    return twin


def _wrapped(model: nn.Module) -> nn.Module | None:
    from torch.nn.parallel import DataParallel, DistributedDataParallel

    parallel = isinstance(model, (DataParallel, DistributedDataParallel))
    # the class of compiled models is in torch._dynamo, which takes seconds to import
    inner = model.module if parallel else getattr(model, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else None


def _refuse_adapters(model: nn.Module) -> None:
    if "peft" not in sys.modules:  # then there is no object of its classes
        return
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTunerLayer

    if isinstance(model, PeftModel) or any(isinstance(module, BaseTunerLayer) for module in model.modules()):
        raise LiveModelError("the model holds PEFT adapters already: unload them first (model.unload()), then check it")
