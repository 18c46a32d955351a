"""Guesses at what a model takes for pictures, by the names of its inputs, the plainest first."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import nn

from archlint.running.batch import ROWS, whole
from archlint.running.tower import Tower

Inputs = dict[str, Any]

NAMES = (
    "pixel_values",
    "image_pixel_values",
    "flattened_patches",
    "pixel_values_images",
    "pixel_values_videos",
    "hidden_states",
)
"""Inputs that are the pictures themselves; of several the first is given."""

_SIZES = (224, 384, 512, 1024, 1536)
"""Height and width in pixels, where the config states none or more than is needed."""
_LARGE = 512
_HIGH = 1024
"""Height and width of what is given in high resolution beside."""
_SIDE = 16
"""Patches along a side of a picture, where a model takes any number."""
_TILES = (2, 3, 5)
"""Parts of a picture together with its overview."""


def pictures(tower: Tower, name: str, takes: Collection[str]) -> Iterator[Inputs]:
    """Inputs for two pictures, or two videos of a few frames, with ``name`` for the pixels.

    Args:
        takes: the names of all inputs.
    """
    for guesses in (_on_grids, _at_places, _with_shapes, _in_strips, _numbered, _in_tiles, _plain):
        yield from guesses(tower, name, takes)


def _on_grids(tower: Tower, name: str, takes: Collection[str]) -> Iterator[Inputs]:
    """Patches of all pictures in one row, with the number of them in time, height and width of each picture."""
    grid = _one_of(("image_grid_thw", "grid_thw", "image_grid_hw", "video_grid_thw"), takes)
    if grid is None:
        return
    merge = tower.number("spatial_merge_size", "merge_kernel_size", "merge_size", default=2)
    side = 4 * merge
    area = ROWS * side * side
    numbers: Inputs = {grid: torch.tensor([[1, side, side][-len(grid.rpartition("_")[2]) :]] * ROWS)}
    for merges in ("image_merge_sizes", "merge_sizes"):
        if merges in takes:
            numbers[merges] = torch.full((ROWS,), merge)
    if "images_per_sample" in takes:
        numbers["images_per_sample"] = whole(ROWS)
    channels, patch, width = _patch(tower)
    yield {name: tower.values(area, width), **numbers}
    yield {name: tower.values(area, channels, patch, patch), **numbers}
    yield {name: tower.values(area, merge * patch, merge * patch, channels), **numbers}


def _at_places(tower: Tower, name: str, takes: Collection[str]) -> Iterator[Inputs]:
    """Patches of each picture, with the place of each patch."""
    places = _one_of(("image_position_ids", "pixel_position_ids"), takes)
    if places is not None:
        side = 4 * tower.number("pooling_kernel_size", default=3)
        each = torch.cartesian_prod(torch.arange(side), torch.arange(side))
        yield {name: tower.values(ROWS, side * side, _patch(tower)[2]), places: each.repeat(ROWS, 1, 1)}


def _with_shapes(tower: Tower, name: str, takes: Collection[str]) -> Iterator[Inputs]:
    """Patches of each picture, with the number of them in height and width."""
    if "spatial_shapes" in takes:
        area = _SIDE * _SIDE
        yield {
            name: tower.values(ROWS, area, _patch(tower)[2]),
            "spatial_shapes": torch.tensor([[_SIDE, _SIDE]] * ROWS),
            **({"pixel_attention_mask": whole(ROWS, area)} if "pixel_attention_mask" in takes else {}),
        }


def _in_strips(tower: Tower, name: str, takes: Collection[str]) -> Iterator[Inputs]:
    """Patches of all pictures side by side, as one picture that is one patch high."""
    if "target_sizes" in takes:
        channels, patch, _ = _patch(tower)
        yield {
            name: tower.values(1, channels, patch, ROWS * _SIDE * _SIDE * patch),
            "target_sizes": torch.tensor([[_SIDE, _SIDE]] * ROWS),
        }


def _numbered(tower: Tower, name: str, takes: Collection[str]) -> Iterator[Inputs]:
    """Patches of each picture, each after its row and column."""
    if name == "flattened_patches":
        area = _SIDE * _SIDE
        patches = tower.values(ROWS, area, 2 + _patch(tower)[2])
        patches[:, :, :2] = 1
        yield {name: patches, **({"attention_mask": whole(ROWS, area)} if "input_ids" not in takes else {})}


def _in_tiles(tower: Tower, name: str, takes: Collection[str]) -> Iterator[Inputs]:
    """Pictures in tiles, with the number that stands for their layout."""
    if "aspect_ratio_ids" in takes:
        tiles = tower.number("max_num_tiles", default=4)
        channels, height, width = _picture(tower)
        yield {
            name: tower.values(ROWS, 1, tiles, channels, height, width),
            "aspect_ratio_ids": whole(ROWS, 1),
            "aspect_ratio_mask": whole(ROWS, 1, tiles),
        }


def _plain(tower: Tower, name: str, takes: Collection[str]) -> Iterator[Inputs]:
    """Whole pictures, each with one more dimension for several of a row, or with the frames of a video."""
    channels, *stated = _picture(tower)
    sizes = [(size, size) for size in _SIZES]
    sizes.insert(0 if max(stated) <= _LARGE else 1, (stated[0], stated[1]))
    frames = tower.number("num_frames", "frames_per_clip", default=2)
    leads: list[tuple[int, ...]] = [(ROWS,), (ROWS, 1), (ROWS, frames)]
    if "video" in name:
        leads = [(ROWS, frames), (ROWS,)]
    elif "pixel_attention_mask" in takes:
        leads = [(ROWS, 1), (ROWS,)]
    for height, width in dict.fromkeys(sizes):
        for lead in leads:
            yield from _framed(tower, name, takes, (*lead, channels, height, width))
    if "image_sizes" in takes:
        for tiles in _TILES:
            yield from _framed(tower, name, takes, (ROWS, tiles, channels, *stated))


def _framed(tower: Tower, name: str, takes: Collection[str], shape: tuple[int, ...]) -> Iterator[Inputs]:
    """Pictures of one shape, without and with what tells their size, and which of their pixels count."""
    *lead, _, height, width = shape
    sizes: list[Inputs] = [{}]
    masks: list[Inputs] = [{}]
    if "image_sizes" in takes:
        sizes.append({"image_sizes": torch.tensor([[height, width]] * ROWS)})
    if (mask := _one_of(("pixel_attention_mask", "pixel_mask"), takes)) is not None:
        masks = [{mask: whole(*lead, height, width)}, *([{mask: whole(*lead).bool()}] if len(lead) > 1 else []), {}]
    elif "image_attention_mask" in takes and "image_sizes" in takes:
        patch = _patch(tower)[1]
        masks = [{"image_attention_mask": whole(*lead, height // patch, width // patch)}]
    pictures = {name: tower.values(*shape)}
    if "high_res_pixel_values" in takes:
        pictures["high_res_pixel_values"] = tower.values(*shape[:-2], _HIGH, _HIGH)
    for size, told in itertools.product(sizes, masks):
        yield {**pictures, **size, **told}


def _picture(tower: Tower) -> tuple[int, int, int]:
    """Channels, height and width of a picture."""
    height, width = tower.pair("image_size", "img_size", "input_size", "crop_size", "max_img_size", default=_SIZES[0])
    return _channels(tower), height, width


def _channels(tower: Tower) -> int:
    return tower.number("num_channels", "in_channels", "num_input_channels", "in_chans", default=3)


def _patch(tower: Tower) -> tuple[int, int, int]:
    """Channels of a patch, its height, and all of its values."""
    channels, patch = _channels(tower), tower.number("patch_size", default=14)
    width = channels * patch * patch * tower.number("temporal_patch_size", default=1)
    if isinstance(tower.entry, nn.Linear):
        width = tower.entry.in_features
    elif isinstance(tower.entry, (nn.Conv2d, nn.Conv3d)):
        width = tower.entry.weight[0].numel()
    return channels, patch, width


def _one_of(names: Collection[str], takes: Collection[str]) -> str | None:
    return next((name for name in names if name in takes), None)
