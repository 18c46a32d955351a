"""Configurations: those of the repository's own classes are read, those of transformers' are made."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from archlint.reading import installed, plain
from archlint.reading.limits import MAX_COUNT
from archlint.reading.values import Class, External, Function, Instance, Native, Unknown, Value

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from archlint.reading.objects import Objects

_ATTENTION = ("_attn_implementation", "_attn_implementation_internal", "attn_implementation")
_EXPERTS = ("_experts_implementation", "_experts_implementation_internal")
_NUMBER_TYPES = ("dtype", "torch_dtype")
_EARLIER: Mapping[str, Value] = {
    "tie_word_embeddings": True,
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_encoder_decoder": False,
    "cross_attention_hidden_size": None,
    "pruned_heads": {},
    "torchscript": False,
    "output_attentions": False,
    "output_hidden_states": False,
    "use_return_dict": True,
    "use_cache": True,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
    "sep_token_id": None,
    "decoder_start_token_id": None,
    "finetuning_task": None,
    "task_specific_params": None,
    "name_or_path": "",
    "_name_or_path": "",
    "_commit_hash": None,
}
"""What the base class of transformers 4 gave every configuration, and code that was written for it may ask for."""
_TEXT_PARTS = ("decoder", "generator", "text_config", "text_encoder")


def names(config: Instance) -> list[str]:
    return [name for name in config.attributes if not name.startswith("_")]


def _mapped(config: Instance, name: str) -> str:
    """The name that ``attribute_map`` has for it."""
    table: Value = getattr(config.real, "attribute_map", {})
    if isinstance(config.cls, Class):
        found = config.cls.find("attribute_map")
        table = found[1] if isinstance(found, tuple) else table
    mapped = table.get(name, name) if isinstance(table, dict) else name
    return mapped if isinstance(mapped, str) else name


def attribute(interpreter: Objects, config: Instance, name: str) -> Value:
    """What ``config.name`` is; ``NotImplemented`` where it has none such."""
    if name in _ATTENTION:
        return "eager"
    if name in _EXPERTS:
        return None
    if name == "__dict__":
        return dict(config.attributes)
    if name == "per_layer_config":
        return _layers(interpreter, config)
    if name == "sub_configs_defaults" and isinstance(config.cls, Class):
        return _specifications(config)
    if name in _NUMBER_TYPES:
        found = next((config.attributes[key] for key in _NUMBER_TYPES if config.attributes.get(key) is not None), None)
        return number_type(found)
    name = _mapped(config, name)
    found = config.cls.find(name) if isinstance(config.cls, Class) else None
    if isinstance(found, tuple) and isinstance(found[1], Function) and found[1].kind == "property":
        return interpreter.call_function(found[1], [config], {})
    if name in config.attributes:
        return config.attributes[name]
    if isinstance(config.cls, Class):
        return interpreter._bound(config, found, name, None)
    return inherited(interpreter, config, name)


def number_type(value: Value) -> Value:
    """The type of torch that a name stands for."""
    found = getattr(torch, value.removeprefix("torch."), value) if isinstance(value, str) else value
    return found if isinstance(found, torch.dtype) else value


def _specifications(config: Instance) -> Value:
    """What the parts of a configuration are made of, each as a description."""
    found = config.find("sub_configs_defaults")
    table = found[1] if isinstance(found, tuple) else {}
    if not isinstance(table, dict):
        return {}
    external = External("transformers.configuration_utils.SubConfigSpec")
    return {
        name: wanted if isinstance(wanted, Instance) else Instance(external, {"config_class": wanted})
        for name, wanted in table.items()
    }


def _layers(interpreter: Objects, config: Instance) -> Value:
    """The configuration of each layer, where some differ from the whole."""
    count = attribute(interpreter, config, "num_hidden_layers")
    if not isinstance(count, int) or not 0 <= count <= MAX_COUNT:
        return Unknown("how many layers there are")
    if config.real is not None:
        return [of_real(config.real.per_layer_config[place]) for place in range(count)]
    given = config.attributes.get("per_layer_config")
    given = given if isinstance(given, dict) else {}
    layers = []
    for place in range(count):
        own = given.get(place, given.get(str(place)))
        layer = Instance(config.cls, dict(config.attributes))
        interpreter.budget.take(len(layer.attributes))
        layer.attributes.update(own if isinstance(own, dict) else {})
        layers.append(layer)
    return layers


def inherited(interpreter: Objects, config: Instance, name: str) -> Value:
    """What a configuration has of transformers' classes."""
    method: Callable[..., Value] | None = _METHODS.get(name)
    if method is not None:
        return Native(name, lambda *args, **kwargs: method(interpreter, config, *args, **kwargs))
    if name == "num_labels":
        labels = config.attributes.get("id2label")
        return len(labels) if isinstance(labels, dict) else 2
    if name == "sub_configs":
        return {key: part.cls for key, part in config.attributes.items() if interpreter.is_config(part)}
    if config.real is not None:
        value = getattr(config.real, name, NotImplemented)
        if plain.is_plain(value):
            return value
        if _is_real(value):
            return of_real(value)
        if value is not NotImplemented:
            return Unknown(f"a configuration's {name}")
    if name in ("architectures", "problem_type", "dtype"):
        return None
    if name in ("chunk_size_feed_forward",):
        return 0
    if name == "model_type":
        return ""
    is_earlier = isinstance(config.cls, Class) and config.cls.has("__init__")
    value = _EARLIER.get(name, NotImplemented) if is_earlier else NotImplemented
    return dict(value) if isinstance(value, dict) else value


def _is_real(value: Any) -> bool:
    from transformers import PreTrainedConfig

    return isinstance(value, PreTrainedConfig)


def set_attribute(interpreter: Objects, config: Instance, name: str, value: Value) -> None:
    if name in (*_ATTENTION, *_EXPERTS):
        return
    name = _mapped(config, name)
    found = config.cls.find(f"{name}.setter") if isinstance(config.cls, Class) else None
    if isinstance(found, tuple):
        interpreter.call_function(found[1], [config, value], {})
        return
    interpreter.budget.take(1)
    hides_property = isinstance(config.cls, Class) and config.cls.has("num_labels")
    if name == "num_labels" and not hides_property and isinstance(value, int) and 0 <= value <= 100_000:
        labels = config.attributes.get("id2label")
        if not isinstance(labels, dict) or len(labels) != value:
            interpreter.budget.take(value)
            config.attributes["id2label"] = {place: f"LABEL_{place}" for place in range(value)}
        return
    config.attributes[name] = value


def initialize(interpreter: Objects, made: Instance, args: list[Value], kwargs: dict[str, Value]) -> None:
    """What making an object of a repository's own config class does."""
    assert isinstance(made.cls, Class)
    found = made.cls.find("__init__")
    if isinstance(found, tuple):
        interpreter.call_function(found[1], [made, *args], kwargs)
        return
    fields = interpreter.fields(made.cls)
    _inherit(made, {name: value for name, value in kwargs.items() if name not in fields})
    for name, default in fields.items():
        value = kwargs.get(name, default)
        set_attribute(interpreter, made, name, value)
    rest = {name: value for name, value in kwargs.items() if name not in fields}
    found = made.cls.find("__post_init__")
    if isinstance(found, tuple):
        interpreter.call_function(found[1], [made], rest)
    else:
        _post_init(interpreter, made, **rest)


def initialize_base(interpreter: Objects, made: Instance, args: list[Value], kwargs: dict[str, Value]) -> None:
    """What the ``__init__`` of transformers' base class does."""
    _inherit(made, kwargs)
    if isinstance(made.cls, Class):
        for name, default in interpreter.fields(made.cls).items():
            if name not in (made.attributes | kwargs) and not isinstance(default, Unknown):
                set_attribute(interpreter, made, name, default)
    _post_init(interpreter, made, **kwargs)


def based_on(cls: Class) -> type[PreTrainedConfig]:
    """The config class of transformers that one of the repository comes from."""
    from transformers import PreTrainedConfig

    found = (installed.real(base.path) for base in cls.libraries if installed.is_config_class(base))
    return next(found, PreTrainedConfig)


def _inherit(made: Instance, kwargs: dict[str, Value]) -> None:
    """What a configuration has of a model type of transformers whose class its own comes from."""
    from transformers import PreTrainedConfig

    cls = based_on(made.cls) if isinstance(made.cls, Class) else PreTrainedConfig
    if cls is not PreTrainedConfig:
        try:
            made.real = cls(**{name: plainly(value) for name, value in kwargs.items() if _is_sure(value)})
        except Exception:  # config classes raise whatever their values lead them to; then nothing is inherited
            return
        made.attributes.update(of_real(made.real).attributes)


def _post_init(interpreter: Objects, made: Instance, **kwargs: Value) -> None:
    specifications = interpreter.attribute(made, "sub_configs_defaults", None, None)
    for name, wanted in specifications.items() if isinstance(specifications, dict) else ():
        if isinstance(name, str):
            value = _part(interpreter, made.attributes.get(name, kwargs.pop(name, None)), wanted)
            set_attribute(interpreter, made, name, value)
    if interpreter.attribute(made, "rope_parameters", None, ...) is None:
        theta = kwargs.get("rope_theta", interpreter.attribute(made, "default_theta", None, 10_000.0))
        kind = interpreter.attribute(made, "default_rope_type", None, "default")
        made.attributes["rope_parameters"] = {"rope_type": kind, "rope_theta": theta}
    labels = kwargs.pop("id2label", made.attributes.get("id2label"))
    count = kwargs.pop("num_labels", None)
    if isinstance(labels, dict):
        made.attributes["id2label"] = {
            int(key) if isinstance(key, str) and key.isdigit() and len(key) < 10 else key: label
            for key, label in labels.items()
        }
    elif isinstance(count, int):
        set_attribute(interpreter, made, "num_labels", count)
    for name, value in kwargs.items():
        set_attribute(interpreter, made, name, value)
    _rename_layer_types(made)


def _rename_layer_types(made: Instance) -> None:
    """As transformers does for the names that kinds of layers had before."""
    from transformers import configuration_utils

    rename: Any = getattr(configuration_utils, "remap_legacy_layer_types", None)
    for name in ("layer_types", "mtp_layer_types"):
        kinds = made.attributes.get(name)
        if rename is not None and isinstance(kinds, (list, tuple)) and all(isinstance(kind, str) for kind in kinds):
            made.attributes[name] = rename(list(kinds))


def specification(args: list[Value], kwargs: dict[str, Value]) -> dict[str, Value]:
    """The attributes of transformers' description of a part of a configuration."""
    known = ("config_class", "model_type", "init_kwargs", "optional")
    return {**dict(zip(known, args, strict=False)), **kwargs}


def _part(interpreter: Objects, value: Value, wanted: Value) -> Value:
    """A part of a configuration, made of what is given for it."""
    described = wanted.attributes if isinstance(wanted, Instance) else {"config_class": wanted}
    if value is None and described.get("optional") is True:
        return None
    if value is not None and not isinstance(value, dict):
        return value
    cls = described.get("config_class")
    given: dict[str, Value] = value if value is not None else (described.get("init_kwargs") or {})
    if isinstance(cls, External) and cls.name.startswith("Auto"):
        model_type = given.get("model_type", described.get("model_type"))
        cls = known_type(model_type) if isinstance(model_type, str) else Unknown("a part of no type")
    given = {name: held for name, held in given.items() if isinstance(name, str)}
    return interpreter.call(cls, [], given)


# those of transformers


def known_type(model_type: str) -> Value:
    """transformers' own config class of a model type."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if model_type not in CONFIG_MAPPING:
        return Unknown(f"transformers has no model type {model_type!r}"[:100])
    cls = CONFIG_MAPPING[model_type]
    return External(f"{cls.__module__}.{cls.__qualname__}")


def make(interpreter: Objects, external: External, cls: type[PreTrainedConfig], kwargs: dict[str, Value]) -> Value:
    """An object of one of transformers' own config classes."""
    try:
        return of_real(cls(**{name: plainly(value) for name, value in kwargs.items() if _is_sure(value)}))
    except Exception as error:  # config classes raise whatever their values lead them to
        return Unknown(f"{external.name} refuses its values: {type(error).__name__}")


def _is_sure(value: Value) -> bool:
    return not isinstance(value, Unknown)


def of_class(interpreter: Objects, callee: External, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """What a class method of one of transformers' own config classes gives."""
    path, _, name = callee.path.rpartition(".")
    cls = installed.real(path)
    if name == "from_dict" and args and isinstance(args[0], dict) and isinstance(cls, type):
        given = {key: value for key, value in args[0].items() if isinstance(key, str)}
        return make(interpreter, External(path), cls, given)
    return Unknown(f"a configuration that is loaded from somewhere else ({name})")


def maker(interpreter: Objects, cls: Class, name: str) -> Value:
    """``from_dict`` of a repository's own config class."""

    def from_dict(given: Value, **kwargs: Value) -> Value:
        if name != "from_dict" or not isinstance(given, dict):
            return Unknown("a configuration that is loaded from somewhere else")
        return interpreter.call(cls, [], {key: value for key, value in given.items() if isinstance(key, str)})

    return Native(name, from_dict)


def of_real(config: Any, seen: dict[int, Instance] | None = None) -> Instance:
    """A configuration of transformers as a value."""
    seen = {} if seen is None else seen
    if id(config) in seen:
        return seen[id(config)]
    made = seen[id(config)] = Instance(External(f"{type(config).__module__}.{type(config).__qualname__}"), real=config)
    for name, value in vars(config).items():
        made.attributes[name] = of_real(value, seen) if _is_real(value) else value
    return made


def plainly(value: Value) -> Any:
    """A value as transformers' own classes take it."""
    if isinstance(value, Instance):
        if value.real is not None:
            return value.real
        return {name: plainly(part) for name, part in value.attributes.items() if _is_sure(part)}
    if isinstance(value, dict):
        return {name: plainly(part) for name, part in value.items() if _is_sure(part)}
    if isinstance(value, (list, tuple)):
        return type(value)(plainly(part) for part in value if _is_sure(part))
    return value


# methods


def _text_config(interpreter: Objects, config: Instance, *_: Value, **__: Value) -> Value:
    found = [config.attributes[name] for name in _TEXT_PARTS if interpreter.is_config(config.attributes.get(name))]
    return found[0] if len(found) == 1 else config


def _to_dict(interpreter: Objects, config: Instance, *_: Value, **__: Value) -> Value:
    interpreter.budget.take(len(config.attributes))
    own: dict[str, Value] = {"model_type": interpreter.attribute(config, "model_type", None, "")}
    for name, value in config.attributes.items():
        own[name] = _to_dict(interpreter, value) if interpreter.is_config(value) else value
    return own


def _get(interpreter: Objects, config: Instance, name: Value, default: Value = None) -> Value:
    return interpreter.attribute(config, name, None, default) if isinstance(name, str) else default


def _update(interpreter: Objects, config: Instance, values: Value) -> None:
    for name, value in values.items() if isinstance(values, dict) else ():
        if isinstance(name, str):
            set_attribute(interpreter, config, name, value)


def _nothing(interpreter: Objects, config: Instance, *_: Value, **kwargs: Value) -> Value:
    return kwargs


_METHODS: Mapping[str, Callable[..., Value]] = {
    "get_text_config": _text_config,
    "to_dict": _to_dict,
    "to_diff_dict": _to_dict,
    "get": _get,
    "update": _update,
    "__post_init__": _post_init,
    "standardize_rope_params": _nothing,
    "convert_rope_params_to_dict": _nothing,
    "ignore_keys_at_rope_validation": _nothing,
    "validate_rope": _nothing,
}


def default_of(node: ast.expr | None) -> ast.expr | None:
    """What a field's description says of its default: ``field(default=1)``."""
    if isinstance(node, ast.Call):
        return next((keyword.value for keyword in node.keywords if keyword.arg == "default"), None)
    return None
