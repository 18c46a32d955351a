"""Guesses at what a model takes for sounds, by its first layer, the plainest first."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence

import torch
from torch import nn

from archlint.running.pixels import Inputs
from archlint.running.tower import ROWS, Tower, whole

NAMES = ("input_features", "input_values", "audio_input_features", "audio_mel", "audio_values", "inputs", "latents")
"""Inputs that are the sounds themselves; of several the first is given."""

_MASKS = (
    "input_features_mask",
    "feature_attention_mask",
    "padding_mask",
    "audio_mel_mask",
    "audio_attention_mask",
    "input_values_mask",
)
_SAMPLES = 19200
"""A number that the hops of many codecs divide: 320, 480, 640, 960, 1920, 3200."""
_FRAMES = (400, 1024)
_BINS = ("num_mel_bins", "num_mel_features", "n_mels", "mel_bins", "input_feat_size", "feature_size")
_USUAL_BINS = (128, 80)


def sounds(tower: Tower, name: str, takes: Collection[str]) -> Iterator[Inputs]:
    """Inputs for two sounds, as samples or as frames of a spectrum, with ``name`` for the sounds.

    Args:
        takes: the names of all inputs.
    """
    masks = [mask for mask in _MASKS if mask in takes]
    if "input_ids" not in takes and "attention_mask" in takes:
        masks.append("attention_mask")
    for shape, length in _shapes(tower):
        sound = {name: tower.values(*shape)}
        if masks:
            for mask in (whole(ROWS, length).bool(), whole(ROWS, length)):
                yield {**sound, **dict.fromkeys(masks, mask), **_lengths(tower, takes, length)}
        yield sound


def _lengths(tower: Tower, takes: Collection[str], length: int) -> Inputs:
    """How much of each sound counts: of its frames, and of what the model makes of them."""
    made = length // tower.number("time_reduction", default=1)
    lengths = {"audio_feature_lengths": length, "audio_embed_sizes": made}
    return {name: torch.full((ROWS,), value) for name, value in lengths.items() if name in takes}


def _shapes(tower: Tower) -> Iterator[tuple[tuple[int, ...], int]]:
    """Shapes of two sounds, each with the length that a mask of it has."""
    entry = tower.entry
    if isinstance(entry, nn.Conv1d) and entry.in_channels <= 2:
        yield (ROWS, _SAMPLES), _SAMPLES
        yield (ROWS, entry.in_channels, _SAMPLES), _SAMPLES
        return
    stated = tower.figure("max_source_positions")
    lengths = [2 * stated, *_FRAMES] if isinstance(stated, int) else _FRAMES
    for bins, length in itertools.product(_bins(tower), lengths):
        shapes = [(ROWS, length, bins), (ROWS, bins, length), (ROWS, 1, length, bins)]
        for shape in (shapes[1], shapes[0]) if isinstance(entry, nn.Conv1d) else shapes:
            yield shape, length


def _bins(tower: Tower) -> Sequence[int]:
    """Values in a frame of a spectrum."""
    entry = tower.entry
    if isinstance(entry, nn.Conv1d):
        return (entry.in_channels,)
    if isinstance(entry, nn.Linear):
        return (entry.in_features,)
    if isinstance(entry, nn.LayerNorm):
        return (entry.normalized_shape[-1],)
    stated = tower.number(*_BINS, default=0)
    return (stated,) if stated else _USUAL_BINS
