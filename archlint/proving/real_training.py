"""Two real steps of TRL's SFTTrainer on a small copy: no reading of its source tells as much."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import re
import tempfile
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy
import torch
from torch import nn
from transformers import TrainerCallback

from archlint.core.blueprint import Blueprint, Trait
from archlint.core.folding import without_indices
from archlint.core.training import Trained
from archlint.core.trial import Trial
from archlint.deadline import deadline
from archlint.proving.gradients import Adapters, in_base
from archlint.proving.initialisations import initialisations
from archlint.proving.places import Places, in_model, places
from archlint.proving.rows import rows, tokenizer
from archlint.proving.tuners import config_of
from archlint.running import NoSmallCopyError, crash_of, one_thread, small_copy

MAX_SECONDS = 60.0
"""Ten times what the slowest copies take."""
STEPS = 2
"""As few as show that training goes on after an update."""

_OURS: Mapping[str, Any] = {
    "max_steps": STEPS,
    "per_device_train_batch_size": 2,
    "use_cpu": True,
    "dataloader_num_workers": 0,
    "dataloader_pin_memory": False,
    "logging_strategy": "steps",
    "logging_steps": 1,
    "logging_nan_inf_filter": False,
    "disable_tqdm": True,
    "report_to": "none",
    "save_strategy": "no",
    "eval_strategy": "no",
    "load_best_model_at_end": False,
    "push_to_hub": False,
}
"""Arguments that make a trial of a training, whatever the user's are."""
_OF_DATA = (
    "assistant_only_loss",
    "chat_template_path",
    "completion_only_loss",
    "dataset_kwargs",
    "dataset_num_proc",
    "dataset_text_field",
    "eos_token",
    "pad_token",
)
"""Arguments that speak of the user's rows or tokenizer."""
_OF_DEVICE = (
    "deepspeed",
    "fp16",
    "fsdp",
    "fsdp_config",
    "parallelism_config",
    "tf32",
    "torch_compile",
    "torch_compile_backend",
    "torch_compile_mode",
)
"""Arguments that no processor can follow, or not in a moment."""
_LAUNCHED = re.compile(r"^ACCELERATE_|(^|_)(RANK|SIZE)$")
"""Names of the environment by which a launcher tells a process that it is one of several, and how it trains."""


class _TooSlowError(BaseException):
    """No code of a trainer or a model that catches errors may catch it."""


def train(model: nn.Module, blueprint: Blueprint, trial: Trial, arguments: Mapping[str, Any]) -> Trained:
    """What comes of two steps of the installed SFTTrainer with the adapters of ``trial``, on rows of plain text.

    Args:
        model: on the meta device, without adapters; it stays as it is.
        trial: of the plan, on that model.
        arguments: those of ``SFTConfig`` that the user gave; what speaks of their data or device is left out.
            Without ``bf16`` among them precision is single: a GPU has kernels in half precision that processors lack.
    """
    try:
        installed = version("trl")
    except PackageNotFoundError:
        return Trained(reason="TRL is not installed: pip install 'archlint[trl]'")
    try:
        with _by_itself(), deadline(MAX_SECONDS, _TooSlowError):
            found = _trained(small_copy(model), blueprint, trial, arguments)
    except NoSmallCopyError as error:
        found = Trained(reason=f"no small copy of the model can be run on text: {error}")
    except _TooSlowError:
        found = Trained(reason=f"{STEPS} steps on a small copy of the model take more than {MAX_SECONDS:.0f} s")
    return dataclasses.replace(found, version=installed)


def _trained(copy: nn.Module, blueprint: Blueprint, trial: Trial, arguments: Mapping[str, Any]) -> Trained:
    from peft import get_peft_model

    try:
        import_module("trl.trainer.sft_trainer")
    except ImportError as error:
        return Trained(reason=f"TRL cannot be imported: {_in_one_line(error)}")
    try:
        with initialisations(on_meta=False):
            adapted: Any = get_peft_model(copy, config_of(trial.plan))
    except Exception as error:  # PEFT took the plan on the model, and may not on fewer layers
        return Trained(reason=f"PEFT raises on a small copy of the model: {_in_one_line(error)}")
    adapters = Adapters(copy, adapted.base_model.tuner_layer_cls)
    sites = Places(blueprint)
    if sites.of(adapters.names()) != places(trial.adapted) or sites.of(adapters.saved()) != places(trial.saved):
        return Trained(reason="in a small copy of the model PEFT places the adapters elsewhere")
    paths = {id(module): in_base(path) for path, module in copy.named_modules()}
    seen = _Seen(adapters)
    try:
        _run(adapted, copy, arguments, seen)
    except Exception as error:  # a trainer and a model's code raise whatever they are led to
        return Trained(losses=tuple(seen.losses), raised=in_model(crash_of(error, paths), trial.adapted))
    trained = {*adapters.names(), *adapters.saved()}
    dead, alive = sites.of(seen.lost), sites.of(trained - seen.lost)
    experts = places(site.path for site in blueprint.select(trait=Trait.EXPERT))
    if unclear := (dead & alive) - experts:  # an expert may have got no token
        return Trained(reason=f"{min(unclear)} has a gradient in some layers of a small copy only")
    lost = dead - alive
    return Trained(
        losses=tuple(seen.losses),
        dead=tuple(path for path in (*trial.adapted, *trial.saved) if without_indices(path) in lost),
    )


def _run(adapted: Any, copy: nn.Module, given: Mapping[str, Any], seen: TrainerCallback) -> None:
    from datasets import Dataset  # type: ignore[import-untyped]
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    kept = {name: value for name, value in given.items() if name not in (*_OF_DATA, *_OF_DEVICE)}
    with tempfile.TemporaryDirectory(prefix="archlint-") as folder:
        trainer = SFTTrainer(
            model=adapted,
            args=SFTConfig(**{"bf16": False, **kept, **_OURS, "output_dir": folder}),
            train_dataset=Dataset.from_dict({"text": rows()}),
            processing_class=tokenizer(copy),
            callbacks=[seen],
        )
        trainer.train()


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


class _Seen(TrainerCallback):
    """What a trainer tells while it trains."""

    def __init__(self, adapters: Adapters) -> None:
        self._adapters = adapters
        self.losses: list[float] = []
        self.lost = {*adapters.names(), *adapters.saved()}
        """What had no gradient in any step."""

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        self.lost &= {*self._adapters.without_gradient(), *self._adapters.saved_without_gradient()}

    def on_log(self, *_: Any, **told: Any) -> None:
        if "loss" in told["logs"]:  # at the end it tells of the whole training instead
            self.losses.append(told["logs"]["loss"])


@contextlib.contextmanager
def _by_itself() -> Iterator[None]:
    """Within the block a trainer has the process to itself, without the hub; afterwards that is as before.

    Trainers seed all random numbers and tell the hub that they were made. What accelerate's first user asked for it
    keeps, and refuses the next one anything else.
    """
    from accelerate.state import AcceleratorState, GradientState, PartialState
    from huggingface_hub import constants

    states = [kind._shared_state for kind in (PartialState, AcceleratorState, GradientState)]
    kept = [dict(state) for state in states]
    environment = dict(os.environ)
    numbers, arrays = random.getstate(), numpy.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    is_offline = constants.HF_HUB_OFFLINE
    try:
        constants.HF_HUB_OFFLINE = True
        for name in filter(_LAUNCHED.search, environment):
            del os.environ[name]
        for state in states:
            state.clear()
        with torch.random.fork_rng(devices), one_thread():
            torch.manual_seed(0)
            yield
    finally:
        constants.HF_HUB_OFFLINE = is_offline
        random.setstate(numbers)
        numpy.random.set_state(arrays)
        for state, before in zip(states, kept, strict=True):
            state.clear()
            state.update(before)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
