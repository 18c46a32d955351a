"""Parts of a model that people train by themselves: its attention, its feed-forward layers, all but its experts."""

from __future__ import annotations

import enum
import re

from archlint.core.blueprint import Blueprint, Kind, Site, Trait

_MIXES_TOKENS = re.compile(r"attn|attention|mamba|ssm|recurrent|delta_?net|short_?conv|retention")
_FEEDS_FORWARD = re.compile(r"mlp|ffn|ffw|feed_?forward|expert|moe|dense|intermediate|^fc_?\d|^fc_|glu|^wi|^wo|^output")
"""What transformers' modules call these blocks, in the names of attributes and of classes (lower case)."""


class Preset(str, enum.Enum):
    """Which layers of a scope a recipe is to adapt."""

    ALL = "all"
    """Every layer that can be."""
    ATTENTION = "attention"
    """The layers that mix tokens: attention, and what stands in its place."""
    ATTENTION_MLP = "attention-mlp"
    """These and the feed-forward layers, experts among them."""
    NO_EXPERTS = "no-experts"
    """All but the experts that a router chooses from."""

    def takes(self, blueprint: Blueprint, site: Site) -> bool:
        """Whether a recipe for this part adapts ``site``."""
        if self is Preset.ALL:
            return True
        if self is Preset.NO_EXPERTS:
            return site.kind is not Kind.FUSED_EXPERTS and Trait.EXPERT not in site.traits
        part = _part(blueprint, site)
        return part is Preset.ATTENTION or (part is not None and self is Preset.ATTENTION_MLP)


def _part(blueprint: Blueprint, site: Site) -> Preset | None:
    """The smallest part that ``site`` belongs to, by the names around it within its layer.

    What a block is called in its layer says more than what its class is called, which may hold a model's name; the
    name of the site itself says least: ``dense`` is used for everything.
    """
    blocks, classes = _around(blueprint, site)
    for names in (blocks, classes, [site.leaf.lower()]):
        for pattern, part in ((_MIXES_TOKENS, Preset.ATTENTION), (_FEEDS_FORWARD, Preset.ATTENTION_MLP)):
            if any(map(pattern.search, names)):
                return part
    return None


def _around(blueprint: Blueprint, site: Site) -> tuple[list[str], list[str]]:
    """The names of the modules between a site and its layer, and of their classes."""
    blocks: list[str] = []
    classes: list[str] = []
    path = site.parent
    while path and not path.rpartition(".")[2].isdigit():
        blocks.append(path.rpartition(".")[2].lower())
        if path in blueprint.by_path:
            classes.append(blueprint.by_path[path].type.name.lower())
        path = path.rpartition(".")[0]
    return blocks, classes
