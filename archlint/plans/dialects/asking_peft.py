"""What PEFT makes of targets on a model, where a tool looks at that before it calls PEFT."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

from archlint.core.blueprint import Blueprint


def refused(model_type: str, names: Iterable[str]) -> frozenset[str]:
    """Those of ``names`` by which PEFT adapts no module of a model of this type, whatever the module is.

    That is so where the model's own kernels read the weight. PEFT goes by the type that the model's config names.
    """
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    config, model = LoraConfig(), _stand_in(model_type)
    found = set()
    for name in names:
        try:
            LoraModel._check_target_module_compatiblity(cast(Any, None), config, model, name)
        except ValueError:
            found.add(name)
    return frozenset(found)


def reaches_experts(blueprint: Blueprint, targets: Any) -> bool:
    """Whether PEFT puts parameters of fused experts in the place of some of ``targets``: names of earlier versions."""
    from peft import LoraConfig
    from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers

    if isinstance(targets, str) and targets.lower() == "all-linear":
        targets = ".*"  # the names are the same, and need no model to be told
    config = LoraConfig(target_modules=targets)
    try:
        convert_peft_config_for_transformers(config, _stand_in(blueprint.model.model_type, blueprint), None)
    except ValueError:  # a part of a fused parameter without the other
        return False
    return bool(config.target_parameters)


def _stand_in(model_type: str, blueprint: Blueprint | None = None) -> Any:
    """As much of a model as PEFT looks at."""
    sites = blueprint.sites if blueprint is not None else ()
    return SimpleNamespace(
        config=SimpleNamespace(model_type=model_type),
        named_modules=lambda: [(site.path, None) for site in sites if not site.is_parameter],
        named_parameters=lambda: [(name, None) for site in sites for name in site.parameters],
    )
