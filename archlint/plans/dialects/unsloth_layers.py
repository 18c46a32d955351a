"""Which layers unsloth takes where it chooses, as the expression that it hands to PEFT."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from archlint.core.blueprint import Blueprint, Role, Site, Trait
from archlint.plans.dialects.asking_peft import refused
from archlint.plans.dialects.linears import is_linear, modules, reaches, wrappers
from archlint.plans.document import PlanError

USUAL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
"""What ``FastLanguageModel`` targets unasked."""

_SEEING = ("vision", "image", "visual", "patch")
_SPEAKING = ("language", "text")
_ATTENTION = ("self_attn", "attention", "attn", "mixer")
_MLP = ("mlp", "feed_forward", "ffn", "dense", "mixer")
_EMBEDDERS = (
    r"embed_vision\.embedding_projection",
    r"vision_embedder\.patch_dense",
    r"vision_tower\.patch_embedder\.input_proj",
)
_CODECS = ("codec_model", "audio_tokenizer", "acoustic_tokenizer", "semantic_tokenizer")
_EXPERTS = frozenset({"gate_proj", "up_proj", "down_proj", "gate_up_proj"})
_ROUTER = "router"


@dataclass(frozen=True, slots=True)
class Parts:
    """The ``finetune_*`` settings: what is to be adapted."""

    vision: bool = True
    language: bool = True
    attention: bool = True
    mlp: bool = True
    audio: bool = False

    @property
    def are_all(self) -> bool:
        """Whether nothing is kept out and audio is not asked for, so that a list of names stands as it is."""
        return self.vision and self.language and self.attention and self.mlp and not self.audio


def expression(blueprint: Blueprint, parts: Parts, names: list[str] | None) -> str:
    """The expression for ``names``, or for all linears whose name occurs more than once where there are none.

    Raises:
        PlanError: unsloth finds no layers.
    """
    linears = [site for site in modules(blueprint) if is_linear(site) and Trait.RETURNS_TUPLE not in site.traits]
    paths = [site.path for site in linears] + [site.inner for site in wrappers(blueprint) if site.inner]
    chosen = _targeted(blueprint, paths) if names is None else names
    leaf = rf"\.{_any_of(chosen)}"
    blocks = _any_of((_ATTENTION if parts.attention else ()) + (_MLP if parts.mlp else ()))
    where = (_SEEING if parts.vision else ()) + (_SPEAKING if parts.language else ())
    patterns = [f".*{_any_of(where)}.*{blocks}.*{leaf}"] if where else []
    if parts.language:
        patterns.append(rf"model\.layers\.\d+(?!.*\.experts\.\d)\..*{blocks}.*{leaf}")
    if parts.vision and parts.mlp:
        patterns += _present((rf".*\b{place}" for place in _EMBEDDERS), paths, names)
    if parts.audio:
        leaves = sorted({site.leaf for site in linears if site.role is Role.AUDIO})
        patterns += _present((rf".*\baudio_tower\.(.*\.)?{re.escape(leaf)}" for leaf in leaves), paths, names)
    if where and not _found(patterns, paths):  # a model that names no part so
        patterns = [rf"(?!(.*\.)?{_any_of(_CODECS)}\.).*{blocks}.*{leaf}"]
    if not _found(patterns, paths):
        raise PlanError("unsloth finds no layers to adapt in this model")
    apart = [] if names is not None else _gates(blueprint)
    apart += [site.path for site in modules(blueprint) if _is_bare(site) and _found(patterns, [site.path])]
    ahead = f"(?!({'|'.join(map(re.escape, apart))})$)" if apart else ""
    if names is None and (unadaptable := _read_by_kernels(blueprint, chosen)):
        ahead += rf"(?!.*\.{_any_of(unadaptable)}$)"
    return f"{ahead}({'|'.join(patterns)})"


def expert_parameters(blueprint: Blueprint, targets: str | Iterable[str], parts: Parts) -> list[str]:
    """The parameters of fused experts that unsloth adds to ``targets``."""
    if isinstance(targets, str):
        asked = {name for name in _EXPERTS if name in targets} or (_EXPERTS if "mlp|" in targets else set())
    else:
        asked = _EXPERTS.intersection(targets)
    if not (asked and parts.mlp and parts.language):
        return []
    names = [f".{site.path}" for site in blueprint.sites if site.is_parameter]
    fused = _placed("gate_up_proj", names) if asked - {"down_proj"} else []
    apart = [
        place for leaf in ("gate_proj", "up_proj") if asked & {leaf, "gate_up_proj"} for place in _placed(leaf, names)
    ]
    return (fused or apart) + (_placed("down_proj", names) if "down_proj" in asked else [])


def _placed(leaf: str, names: list[str]) -> list[str]:
    places = (f"mlp.experts.{leaf}", f"experts.{leaf}")
    return [place for place in places if any(name.endswith(f".{place}") for name in names)][:1]


def _targeted(blueprint: Blueprint, paths: list[str]) -> list[str]:
    """The names that unsloth takes by itself, less those that PEFT refuses for this type of model."""
    names = _repeated(paths)
    left_out = refused(blueprint.model.model_type, names)
    return [name for name in names if name not in left_out]


def _read_by_kernels(blueprint: Blueprint, names: list[str]) -> list[str]:
    """Those of ``names``, each behind its block's, that PEFT refuses for a type of model which is a part of this one.

    unsloth looks through the parts of the config for that; here a part is of the type whose code its block is.
    """
    found: dict[str, None] = {}
    left_out: dict[str, frozenset[str]] = {}
    for block in modules(blueprint):
        library, _, code = block.type.module.partition(".models.")
        leaves = [name for name in names if f"{block.path}.{name}" in blueprint.by_path]
        if library == "transformers" and leaves:
            kind = code.partition(".")[0]
            if kind not in left_out:
                left_out[kind] = refused(kind, names)
            found.update((f"{block.leaf}.{name}", None) for name in leaves if name in left_out[kind])
    return list(found)


def _repeated(paths: list[str]) -> list[str]:
    """Names that occur more than once, or in a stack of layers: an output head is neither."""
    counts = Counter(path.rpartition(".")[2] for path in paths)
    stacked = {path.rpartition(".")[2] for path in paths if re.search(r"\.\d+\.", path)}
    return [name for name, count in counts.items() if name != _ROUTER and (count > 1 or name in stacked)]


def _gates(blueprint: Blueprint) -> list[str]:
    """Linears that route to experts: a ``gate`` beside them, or in a router."""
    found = []
    for site in modules(blueprint):
        parent = blueprint.by_path.get(site.parent)
        if site.leaf != "gate" or parent is None or not is_linear(site):
            continue
        if f"{parent.path}.experts" in blueprint.by_path or _ROUTER in parent.type.name.lower():
            found.append(site.path)
    return found


def _is_bare(site: Site) -> bool:
    """Whether it holds nothing at all, as a placeholder does."""
    return not site.weights and Trait.CONTAINER not in site.traits and site.type.name == "Identity"


def _present(patterns: Iterable[str], paths: list[str], names: list[str] | None) -> Iterator[str]:
    for pattern in patterns:
        for found in (rf"{pattern}\.linear", pattern):
            hit = [path for path in paths if re.fullmatch(found, path)]
            if hit and (names is None or reaches(names, hit[0].removesuffix(".linear"))):
                yield found


def _found(patterns: list[str], paths: list[str]) -> bool:
    return any(re.fullmatch(pattern, path) for pattern in patterns for path in paths)


def _any_of(words: Iterable[str]) -> str:
    return f"({'|'.join(map(re.escape, words))})"
