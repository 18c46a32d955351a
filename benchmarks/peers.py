"""Where other fine-tuning tools put LoRA when they are left to choose: their published rules, as LoraConfig arguments.

Each function restates one rule in words and code of our own. Its docstring names the project, the file in which the
rule stands and the commit at which it was read. Only the choice of layers is restated: ranks, dropout and task types
are left at PEFT's defaults, in favour of the peers where that matters (dropout on an adapted parameter raises).
Rules for models that exist only as a repository's own code are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

Arguments = dict[str, Any]


class RefusedError(Exception):
    """The tool turns the model away itself, before PEFT sees it; the message says why in a few words."""


@dataclass(frozen=True, slots=True)
class _Composite:
    """The parts of a multimodal model, as parts of module paths."""

    towers: tuple[str, ...] = ("vision_tower",)
    connectors: tuple[str, ...] = ("multi_modal_projector",)
    conflicts: tuple[str, ...] = ()


_VISUAL = _Composite(("visual.patch_embed", "visual.blocks"), ("visual.merger",), ("patch_embed",))
_DEEPSTACK = _Composite(
    ("visual.pos_embed", "visual.patch_embed", "visual.blocks", "visual.deepstack_merger_list"),
    ("visual.merger",),
    ("patch_embed",),
)
_VISUAL_BELOW_MODEL = _Composite(
    ("visual.pos_embed", "visual.patch_embed", "visual.blocks"), ("model.visual.merger",), ("patch_embed",)
)
_LLAMA_FACTORY: Mapping[str, _Composite] = {
    "audioflamingo3": _Composite(("audio_encoder",)),
    "gemma3": _Composite(),
    "gemma3n": _Composite(("vision_tower", "audio_tower"), conflicts=("timm_model", "subsample_conv_projection")),
    "gemma4": _Composite(
        ("vision_tower", "audio_tower"),
        ("model.embed_vision", "model.embed_audio"),
        ("per_layer_projection_norm",),
    ),
    "glm4v": _VISUAL,
    "glm4v_moe": _VISUAL,
    "glm_ocr": _VISUAL,
    "internvl": _Composite(),
    "llama4": _Composite(("vision_model",)),
    "llava": _Composite(),
    "llava_next": _Composite(),
    "llava_next_video": _Composite(),
    "minicpmv4_6": _Composite(("model.vision_tower",), ("model.merger",)),
    "mistral3": _Composite(connectors=("model.multi_modal_projector",)),
    "mllama": _Composite(("vision_model",)),
    "paligemma": _Composite(),
    "qwen2_5_omni_thinker": _Composite(
        ("visual.patch_embed", "visual.blocks", "audio_tower"),
        ("visual.merger", "audio_tower.proj"),
        ("patch_embed",),
    ),
    "qwen2_5_vl": _VISUAL,
    "qwen2_audio": _Composite(("audio_tower",)),
    "qwen2_vl": _VISUAL,
    "qwen3_5": _VISUAL_BELOW_MODEL,
    "qwen3_5_moe": _VISUAL_BELOW_MODEL,
    "qwen3_omni_moe_thinker": _Composite(
        (*_DEEPSTACK.towers, "audio_tower"), ("visual.merger", "audio_tower.proj"), ("patch_embed",)
    ),
    "qwen3_vl": _DEEPSTACK,
    "qwen3_vl_moe": _DEEPSTACK,
    "video_llava": _Composite(),
}
"""What the project registers of the types that transformers has itself."""


def llama_factory(model: nn.Module) -> Arguments:
    """``lora_target: all`` with ``freeze_vision_tower`` and ``freeze_multi_modal_projector`` on, as by default.

    The names of all modules whose class is called something with Linear, outside the output head and, in a model
    that the project knows as composite, outside towers and connectors. In such a model every module whose path
    holds one of these names anywhere is then listed by its full path, other than in the parts named. Of the omni
    models only the thinker is trained.

    LLaMA-Factory, ``src/llamafactory/model``: ``model_utils/visual.py`` at d0b9dd89 and ``adapter.py`` at 895ea4f5
    (2026). ``find_all_linear_modules`` of ``model_utils/misc.py`` was read in copies of the project; its form for
    several connectors was found in one copy only.
    """
    root = "thinker." if isinstance(thinker := getattr(model, "thinker", None), nn.Module) else ""
    part: Any = thinker if root else model
    parts = _LLAMA_FACTORY.get(part.config.model_type)
    frozen = (*parts.towers, *parts.connectors) if parts else ()
    names = {
        path.rpartition(".")[2]
        for path, module in part.named_modules()
        if "Linear" in type(module).__name__
        and "Embedding" not in type(module).__name__
        and not _holds(path, ("lm_head", *frozen))
    }
    if parts is None:
        return {"target_modules": sorted(names)}
    kept_out = (*frozen, *parts.conflicts)
    paths = [path for path, _ in part.named_modules() if _holds(path, tuple(names)) and not _holds(path, kept_out)]
    return {"target_modules": [root + path for path in paths]}


def axolotl(model: nn.Module) -> Arguments:
    """``lora_target_linear: true``.

    The names of all linear modules, by type or by the class's name, less the name of the output head. Gemma 4's
    wrapped linears are redirected to the linear inside by a patch of PEFT, which amounts to leaving the wrapper out,
    as the inner name is in the list.

    axolotl, ``src/axolotl/loaders/adapter.py`` at 01883e35 and ``loaders/utils.py`` at 002a637c (2026).
    """
    heads = {"gpt_neox": "embed_out"}
    names = {
        path.rpartition(".")[2]
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) or "Linear" in type(module).__name__
    }
    names.discard(heads.get(_config(model).model_type, "lm_head"))
    return {"target_modules": sorted(names), **_without_wrappers(model)}


_USUAL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_SEEING = ("vision", "image", "visual", "patch")
_SPEAKING = ("language", "text")
_BLOCKS = ("self_attn", "attention", "attn", "mixer", "mlp", "feed_forward", "ffn", "dense")


def unsloth(model: nn.Module) -> Arguments:
    """``get_peft_model`` without a word on targets: ``FastVisionModel``'s for models with a tower, which trains the
    vision layers too, and ``FastLanguageModel``'s for all others.

    ``FastLanguageModel`` names the seven usual projections, wherever a pattern of attention and MLP blocks allows
    them; for the dense types that it has kernels for the names stand alone, which selects the same layers.
    ``FastVisionModel`` takes the names of all linears that occur more than once. Both add the parameters of fused
    experts.

    unsloth, ``unsloth/models/vision.py`` (2026, read in a copy; ``get_moe_target_parameters`` likewise), and
    ``unsloth_zoo/peft_utils.py`` at 03e42790. What counts as a mixture of experts (``is_moe_model``), and what
    becomes of names that no parameter has, could not be read and is our guess: a number of experts in the config,
    and nothing.
    """
    return _unsloth(model, vision=_has_tower(model))


def unsloth_text(model: nn.Module) -> Arguments:
    """As :func:`unsloth`, with ``finetune_vision_layers=False``: what a user sets who trains on text."""
    return _unsloth(model, vision=False)


def _unsloth(model: nn.Module, *, vision: bool) -> Arguments:
    linears = [path for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    linears += [f"{path}.linear" for path in _wrappers(model)]
    counts = Counter(path.rpartition(".")[2] for path in linears)
    leaf = _any_of([name for name, count in counts.items() if count > 1] if _has_tower(model) else _USUAL)
    part, block = _any_of(_SEEING + _SPEAKING if vision else _SPEAKING), _any_of(_BLOCKS)
    patterns = [f".*{part}.*{block}.*{leaf}", rf"\bmodel\.layers\.\d+\.{block}\.{leaf}"]
    if vision:
        patterns += _flat_embedders(model, linears)
    if not _found(patterns, linears):  # a model that names no part so
        patterns = [f".*{block}.*{leaf}"]
    if not _found(patterns, linears):
        raise RefusedError("finds no layers")
    experts = _expert_parameters(model)
    return {
        "target_modules": "|".join(patterns),
        **({"target_parameters": experts} if experts else {}),
        **_without_wrappers(model),
    }


def _found(patterns: list[str], paths: list[str]) -> bool:
    return any(re.search(pattern, path) for pattern in patterns for path in paths)


def _any_of(words: Iterable[str]) -> str:
    return f"({'|'.join(map(re.escape, words))})"


def _flat_embedders(model: nn.Module, linears: list[str]) -> Iterator[str]:
    """Patterns for connectors that no block's name gives away, which are known for two families."""
    if not re.search("gemma4|gemma3n", _config(model).model_type):
        return
    for place in (
        r"embed_vision\.embedding_projection",
        r"vision_embedder\.patch_dense",
        r"vision_tower\.patch_embedder\.input_proj",
    ):
        for pattern in (rf".*\b{place}\.linear", rf".*\b{place}"):
            if any(re.fullmatch(pattern, path) for path in linears):
                yield pattern


def _expert_parameters(model: nn.Module) -> list[str]:
    config = _config(model)
    sizes = ("num_experts", "n_routed_experts", "num_local_experts")
    if not any(getattr(part, size, None) for part in (config, getattr(config, "text_config", None)) for size in sizes):
        return []
    parameters = [f".{name}" for name, _ in model.named_parameters()]
    found: list[str] = []
    for weights in (("gate_up_proj",), ("gate_proj", "up_proj"), ("down_proj",)):
        if weights == ("gate_proj", "up_proj") and found:
            continue
        for weight in weights:
            places = (f"mlp.experts.{weight}", f"experts.{weight}")
            named = (place for name in parameters for place in places if name.endswith(f".{place}"))
            found += list(named)[:1]
    return found


_LLAVA = (("model.language_model",), ())
_MS_SWIFT: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            "Gemma3ForConditionalGeneration",
            "Gemma3nForConditionalGeneration",
            "Gemma4ForConditionalGeneration",
            "Glm4vForConditionalGeneration",
            "Glm4vMoeForConditionalGeneration",
            "GotOcr2ForConditionalGeneration",
            "InternVLForConditionalGeneration",
            "LlavaForConditionalGeneration",
            "LlavaNextForConditionalGeneration",
            "LlavaNextVideoForConditionalGeneration",
            "LlavaOnevisionForConditionalGeneration",
            "Mistral3ForConditionalGeneration",
            "MllamaForConditionalGeneration",
            "PaddleOCRVLForConditionalGeneration",
            "PaliGemmaForConditionalGeneration",
            "Qwen2VLForConditionalGeneration",
            "Qwen2_5_VLForConditionalGeneration",
            "Qwen3VLForConditionalGeneration",
            "Qwen3VLMoeForConditionalGeneration",
            "Qwen3_5ForConditionalGeneration",
            "Qwen3_5MoeForConditionalGeneration",
        ),
        _LLAVA,
    ),
    "Ernie4_5_VLMoeForConditionalGeneration": (("model",), ("model.resampler_model",)),
    "Florence2ForConditionalGeneration": (("language_model",), ()),
    "HunYuanVLForConditionalGeneration": (("model",), ()),
    "Idefics3ForConditionalGeneration": (("model.text_model",), ()),
    "Llama4ForConditionalGeneration": (("language_model",), ()),
    "Qwen2AudioForConditionalGeneration": (("language_model",), ()),
    "Qwen2_5OmniForConditionalGeneration": (("thinker.model",), ()),
    "Qwen3OmniMoeForConditionalGeneration": (("thinker.model",), ()),
}
"""Model classes, where their language model is, and what of it is a connector and left out."""


def ms_swift(model: nn.Module) -> Arguments:
    """``target_modules all-linear`` with ``freeze_vit`` and ``freeze_aligner`` on, as by default.

    The names of all modules whose class is called something with linear, less heads, each with as much of its path
    before it as no module of another kind ends in. Of a multimodal model, a pattern for those inside the language
    model; where the class of a multimodal model is not registered, the tool refuses the model.

    ms-swift, ``swift/utils/transformers_utils.py`` at 06505dd4, ``utils/hf_config.py`` at 23e99bf6,
    ``model/model_arch.py`` at 08708540, ``pipelines/train/tuner.py`` at 0319d04b, ``model/models`` (2026). Gemma 4's
    registration was read in a copy; classes that were registered since are missing here.
    """
    registered = _MS_SWIFT.get(type(model).__name__)
    if registered is None:
        if _is_multimodal(_config(model)):
            raise RefusedError("does not know the model")
        return {"target_modules": sorted(_linear_names(model))}
    prefixes, connectors = registered
    patterns = []
    for prefix in prefixes:
        try:
            part = model.get_submodule(prefix)
        except AttributeError:
            continue
        if not (names := sorted(_linear_names(part))):
            continue
        rejected = "|".join(path for path in connectors if path.startswith(f"{prefix}."))
        ahead = f"(?!({rejected}))" if rejected else ""
        patterns.append(rf"{ahead}{re.escape(prefix)}(?=\.).*\.({'|'.join(names)})")
    return {"target_modules": f"^({'|'.join(patterns)})$"}


def _is_multimodal(config: Any) -> bool:
    parts = ("language_config", "llm_config", "text_config", "vit_config", "vision_config", "audio_config")
    return any(name in dir(config) for name in (*parts, "thinker_config"))


def _linear_names(model: nn.Module) -> set[str]:
    others: set[str] = set()
    linears: dict[str, str] = {}
    for path, module in model.named_modules():
        alike = re.sub(r"\d+\.", "{}.", path)
        if _is_linear(path, type(module).__name__.lower()):
            linears.setdefault(alike, path)
        else:
            others.add(alike)
    names = set()
    for alike, path in linears.items():
        parts, plain = path.split("."), alike.split(".")
        length = 1
        while length < len(parts) and any(other.endswith(".".join(plain[-length:])) for other in others):
            length += 1
        names.add(".".join(parts[-length:]))
    return names


def _is_linear(path: str, class_name: str) -> bool:
    return (
        "linear" in class_name
        and not _holds(class_name, ("glulinear", "gemma4clippablelinear"))
        and not _holds(path, ("lm_head", "score", "v_head", "classifier", "lora_A", "lora_B", "base_layer"))
    )


PEERS: Mapping[str, Callable[[nn.Module], Arguments]] = {
    "llama-factory": llama_factory,
    "axolotl": axolotl,
    "unsloth": unsloth,
    "unsloth-text": unsloth_text,
    "ms-swift": ms_swift,
}
"""The rules by the name that they have in a table."""


def _config(model: nn.Module) -> Any:
    return model.config


def _has_tower(model: nn.Module) -> bool:
    config = _config(model)
    return any(getattr(config, name, None) is not None for name in ("vision_config", "audio_config"))


def _wrappers(model: nn.Module) -> list[str]:
    """The modules that two of the tools redirect PEFT from, to the linear inside."""
    return [path for path, module in model.named_modules() if type(module).__name__ == "Gemma4ClippableLinear"]


def _without_wrappers(model: nn.Module) -> Arguments:
    wrappers = _wrappers(model)
    return {"exclude_modules": "|".join(map(re.escape, wrappers))} if wrappers else {}


def _holds(text: str, parts: tuple[str, ...]) -> bool:
    return any(part in text for part in parts)
