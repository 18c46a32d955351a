"""Parts of a model that people train by themselves: its attention, its feed-forward layers, all but its experts."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator

from archlint.core.blueprint import Blueprint, Kind, Site, Trait

_MIXES_TOKENS = re.compile(r"attn|attention|recurrent|delta_?net|short_?conv|retention")
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

    def chooser(self, blueprint: Blueprint) -> Callable[[Site], bool]:
        """What tells whether a recipe for this part of ``blueprint`` adapts a site."""
        if self is Preset.ALL:
            return lambda site: True
        if self is Preset.NO_EXPERTS:
            return lambda site: site.kind is not Kind.FUSED_EXPERTS and Trait.EXPERT not in site.traits
        wanted = {Preset.ATTENTION, self}
        convolving = frozenset(site.parent for site in blueprint.select(Kind.CONV))
        return lambda site: _part(blueprint, convolving, site) in wanted


def _part(blueprint: Blueprint, convolving: frozenset[str], site: Site) -> Preset | None:
    """The smallest part that ``site`` belongs to, by the modules around it within its layer.

    What a block is called in its layer says more than what its class is called, which may hold a model's name; the
    name of the site itself says least: ``dense`` is used for everything. A block with a convolution beside its
    linears mixes tokens, whatever it is called: state-space layers and their like.
    """
    around = list(_around(site))
    blocks = [path.rpartition(".")[2].lower() for path in around]
    if not convolving.isdisjoint(around) and not any(map(_FEEDS_FORWARD.search, blocks)):
        return Preset.ATTENTION
    classes = [blueprint.by_path[path].type.name.lower() for path in around if path in blueprint.by_path]
    for names in (blocks, classes, [site.leaf.lower()]):
        for pattern, part in ((_MIXES_TOKENS, Preset.ATTENTION), (_FEEDS_FORWARD, Preset.ATTENTION_MLP)):
            if any(map(pattern.search, names)):
                return part
    return None


def _around(site: Site) -> Iterator[str]:
    """The paths of the modules between a site and its layer, the nearest first."""
    path = site.parent
    while path and not path.rpartition(".")[2].isdigit():
        yield path
        path = path.rpartition(".")[0]
