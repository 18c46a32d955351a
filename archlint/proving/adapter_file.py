"""What ``save_pretrained`` would write for an adapter, asked from PEFT without writing or asking anybody."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from archlint.core.checkpoint import PREFIX
from archlint.proving.gradients import in_base

_ADAPTER = "default"


class AdapterFile(NamedTuple):
    """Bytes of an adapter's file: its own weights in the types that they are made in, the base's in its config's."""

    size: int = 0
    carried: Mapping[str, int] = {}
    """Those of the base's own weights in it, by the names of their modules."""


def adapter_file(injected: Any) -> AdapterFile:
    """The file of the adapter of ``injected``, a ``PeftModel``."""
    from peft import get_peft_model_state_dict

    # by this name PEFT looks the base up on the hub, to save embeddings whose rows differ from those there
    injected.peft_config[_ADAPTER].base_model_name_or_path = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = get_peft_model_state_dict(injected)
        if any(".base_layer." in key for key in weights):
            own = get_peft_model_state_dict(injected, save_embedding_layers=False)
        else:
            own = weights
    dtype = getattr(getattr(injected, "config", None), "dtype", None)  # the skeleton has another
    carried: dict[str, int] = {}
    for key in weights.keys() - own.keys():
        name = in_base(key.removeprefix(PREFIX)).rpartition(".")[0]
        bytes_each = dtype.itemsize if isinstance(dtype, torch.dtype) else weights[key].element_size()
        carried[name] = carried.get(name, 0) + weights[key].numel() * bytes_each
    return AdapterFile(sum(weight.nbytes for weight in own.values()) + sum(carried.values()), carried)
