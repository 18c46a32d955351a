"""From a config to the real model class on the meta device: every module there, no weight, no network."""

from archlint.skeleton.build import Skeleton, SkeletonError, build

__all__ = ["Skeleton", "SkeletonError", "build"]
