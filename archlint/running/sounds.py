"""Guesses at what a model takes for sounds, by its first layer, the plainest first."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator

import torch
from torch import nn

from archlint.running.batch import ROWS, whole
from archlint.running.pixels import Inputs
from archlint.running.tower import Tower

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
_ANSWER = 8
"""Frames of speech that a decoder goes on from."""
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
    for as_type in (torch.bool, None, torch.long) if masks else (None,):
        for shape, length in _shapes(tower, name):
            told = {} if as_type is None else dict.fromkeys(masks, whole(ROWS, length).to(as_type))
            yield {name: tower.values(*shape), **told, **_beside(tower, takes, length)}


def _beside(tower: Tower, takes: Collection[str], length: int) -> Inputs:
    """How much of each sound counts, of its frames and of what is made of them; and frames for a decoder of speech."""
    made = length // tower.number("time_reduction", default=1)
    lengths = {"audio_feature_lengths": length, "audio_embed_sizes": made}
    beside: Inputs = {name: torch.full((ROWS,), value) for name, value in lengths.items() if name in takes}
    if "decoder_input_values" in takes:
        beside["decoder_input_values"] = tower.values(ROWS, _ANSWER, tower.number(*_BINS, default=_USUAL_BINS[-1]))
    return beside


def _shapes(tower: Tower, name: str) -> Iterator[tuple[tuple[int, ...], int]]:
    """Shapes of two sounds, each with the length that a mask of it has."""
    entry = tower.entry
    reads_samples = isinstance(entry, nn.Conv1d) and entry.in_channels <= 2
    if reads_samples or name.endswith("values"):
        yield (ROWS, _SAMPLES), _SAMPLES
        yield (ROWS, 1, _SAMPLES), _SAMPLES
        yield (ROWS, 2, _SAMPLES), _SAMPLES
    if reads_samples:
        return
    stated = [tower.number("max_source_positions", default=0) * 2, tower.number("max_length", default=0)]
    for length, bins in itertools.product(dict.fromkeys([*filter(None, stated), *_FRAMES]), _bins(tower)):
        shapes = [(ROWS, length, bins), (ROWS, bins, length), (ROWS, 1, length, bins)]
        for shape in (shapes[1], shapes[0]) if isinstance(entry, nn.Conv1d) else shapes:
            yield shape, length


def _bins(tower: Tower) -> Collection[int]:
    """Values in a frame of a spectrum: what the first layer reads, what the config states, what is usual."""
    entry = tower.entry
    read = 0
    if isinstance(entry, nn.Conv1d):
        read = entry.in_channels
    elif isinstance(entry, nn.Linear):
        read = entry.in_features
    elif isinstance(entry, nn.LayerNorm):
        read = entry.normalized_shape[-1]
    stated = tower.number(*_BINS, default=0)
    known = list(filter(None, (stated, read))) or list(_USUAL_BINS)
    return list(dict.fromkeys([*known, *filter(None, [_subsampled_bins(tower)])]))


def _subsampled_bins(tower: Tower) -> int:
    """What is left of a frame by convolutions over time and bins fills, with all channels, the linear behind them."""
    bins = channels = 1
    for layer in tower.layers():
        if isinstance(layer, nn.Conv2d):
            bins, channels = bins * layer.stride[-1], layer.out_channels
        elif isinstance(layer, nn.Linear):
            return layer.in_features // channels * bins if channels > 1 else 0
    return 0
