"""Which model class a config asks for."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

_SEQUENCE_TO_SEQUENCE = ("AutoModelForSpeechSeq2Seq", "AutoModelForSeq2SeqLM")
_AUTO_CLASSES = (
    "AutoModelForMultimodalLM",
    "AutoModelForImageTextToText",
    "AutoModelForMaskedLM",
    "AutoModelForCausalLM",
    "AutoModelForCTC",
    "AutoModel",
)
"""The Auto classes in the order in which they are asked for the class that a type is published in.

An encoder is listed for causal language modelling too, so masked comes before causal; an encoder-decoder is
listed for both as well, so sequence-to-sequence comes first where the config says that it is one.
"""


_AUTO_CLASS_OF_TASK = {
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
}
"""What loads a model with a new head, by PEFT's ``task_type``."""


def model_class(config: PretrainedConfig, wanted: str | None = None) -> type[PreTrainedModel]:
    """The class to build for ``config``: ``wanted``, else its ``architectures``, else what the Auto classes say.

    Names that transformers has renamed since the config was written are found by their task
    (``MPTForCausalLM``) or their spelling (a capital more or less).

    Raises:
        LookupError: transformers has no such class.
    """
    if wanted is not None:
        found = exported_class(wanted) or _respelled(wanted, config)
        if found is None:
            raise LookupError(f"transformers has no model class {wanted!r}")
        return found
    for name in getattr(config, "architectures", None) or ():
        found = exported_class(name) or _respelled(name, config)
        if found is not None and _accepts(found, config):
            return found
    for auto in _auto_classes(config):
        mapping = getattr(auto, "_model_mapping", {})
        if type(config) in mapping:
            listed = mapping[type(config)]
            first: type[PreTrainedModel] = listed[0] if isinstance(listed, tuple) else listed
            return first
    raise LookupError(f"transformers has no model class for {type(config).__name__}")


def language_model(config: Mapping[str, Any]) -> str | None:
    """The class of the language model in a composite, by the config of its text part."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    whole = config.get("model_type")
    if not known_type(whole):
        return None
    sub_configs = CONFIG_MAPPING[whole].sub_configs
    model_type = getattr(sub_configs.get("text_config"), "model_type", None)
    found = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(model_type) if model_type else None
    return found if isinstance(found, str) else None


def class_for_task(config: Mapping[str, Any], task: str) -> str | None:
    """The class with a new head that PEFT's ``task_type`` stands for; ``None`` where the class of the config serves."""
    from transformers.models.auto import modeling_auto as auto

    listed = {
        "SEQ_CLS": auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
        "TOKEN_CLS": auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
        "QUESTION_ANS": auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    }
    if task not in listed:
        return None
    found = listed[task].get(str(config.get("model_type")))
    if found is None and not known_type(config.get("model_type")):
        own = custom_references(config).get(_AUTO_CLASS_OF_TASK[task])
        return None if own is None else own.rpartition(".")[2]
    return found if isinstance(found, str) else None


def classifies(config: PretrainedConfig) -> bool:
    """Whether ``AutoModelForSequenceClassification`` has a class for ``config``."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

    own = getattr(config, "auto_map", None) or {}
    return (
        "AutoModelForSequenceClassification" in own
        or config.model_type in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
    )


def exported_class(name: str | None) -> type[PreTrainedModel] | None:
    """The model class that transformers exports as ``name``."""
    import transformers

    found = getattr(transformers, name, None) if isinstance(name, str) else None
    return found if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel) else None


def _accepts(cls: type[PreTrainedModel], config: PretrainedConfig) -> bool:
    expected = getattr(cls, "config_class", None)
    return expected is None or isinstance(config, expected)


def _respelled(name: str, config: PretrainedConfig) -> type[PreTrainedModel] | None:
    """The class of the config's own package whose name differs from ``name`` by case or underscores only."""
    plain = _plain(name)
    for module in _modeling_modules(config):
        for known in getattr(module, "__all__", ()):
            if _plain(known) == plain:
                return exported_class(known)
    return None


def _plain(name: str) -> str:
    return re.sub(r"[_\W]", "", name).lower()


def _modeling_modules(config: PretrainedConfig) -> Iterator[Any]:
    package = importlib.import_module(type(config).__module__.rpartition(".")[0])
    for module in pkgutil.iter_modules(getattr(package, "__path__", ())):
        if module.name.startswith("modeling_"):
            yield importlib.import_module(f"{package.__name__}.{module.name}")


def _auto_classes(config: PretrainedConfig) -> Iterator[Any]:
    import transformers

    for name in getattr(config, "architectures", None) or ():
        if task := re.search(r"For[A-Z]\w+$", str(name)):
            yield getattr(transformers, f"AutoModel{task.group()}", None)
    first = _SEQUENCE_TO_SEQUENCE if getattr(config, "is_encoder_decoder", False) else ()
    yield from (getattr(transformers, name, None) for name in (*first, *_AUTO_CLASSES))


def known_type(model_type: object) -> TypeGuard[str]:
    """Whether the installed transformers has this model type itself."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return isinstance(model_type, str) and model_type in CONFIG_MAPPING


def own_class(config: Mapping[str, Any], wanted: str | None = None) -> str:
    """Which class of its repository's own code a config asks for, as ``module.Class``.

    The one that is ``wanted``, else the first of those that ``auto_map`` names which was published, else one with a
    task. A class that it does not name is looked for in the file of that one.

    Raises:
        LookupError: it names no model class.
    """
    references = custom_references(config)
    models = {auto: reference for auto, reference in references.items() if auto.startswith("AutoModel")}
    if not models:
        raise LookupError("the config's auto_map names no model class")
    by_class = {reference.rpartition(".")[2]: reference for reference in models.values()}
    published = config.get("architectures")
    named = published if isinstance(published, list) else []
    first = [reference for name, reference in by_class.items() if name in named]
    chosen = [*first, *(models[auto] for auto in sorted(models, key="AutoModel".__eq__))][0]
    return chosen if wanted is None else by_class.get(wanted, f"{chosen.rpartition('.')[0]}.{wanted}")


def custom_references(config: Mapping[str, Any]) -> dict[str, str]:
    """The classes that a config's ``auto_map`` asks to be run from its repository's own code."""
    auto_map = config.get("auto_map")
    if not isinstance(auto_map, Mapping):
        return {}
    return {
        str(auto): reference[0] if isinstance(reference, list) else str(reference)
        for auto, reference in auto_map.items()
        if reference
    }
