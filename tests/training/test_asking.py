"""What is asked of any model, and what is said where nothing can be found out."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import pytest
import torch
from accelerate import init_empty_weights
from torch import nn

from archlint import Example
from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.trainers import lacks, usual_trainers
from archlint.core.training import DEFAULT_TRAINERS, Trainer, Training
from archlint.fixtures.toys.trainers import Plain, Unsupporting
from archlint.proving import Prover
from archlint.quiet import quiet
from archlint.skeleton import Skeleton
from archlint.survey import survey
from archlint.testing import examine
from archlint.training import ask, behaviour, fused_head
from archlint.training.backbone_outputs import BackboneOutputs
from archlint.training.own_forward import measured


class Broken(Unsupporting):
    """Its forward raises, whatever it is given."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no")


class Net(nn.Module):
    """A language model that knows nothing of transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(16, 8)
        self.q_proj = nn.Linear(8, 8)
        self.lm_head = nn.Linear(8, 16)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.lm_head(self.q_proj(self.embed(input_ids)))
        return logits


@dataclasses.dataclass
class Settings:
    width: int = 8


class Configured(Net):
    """The same with a config of its own making."""

    def __init__(self) -> None:
        super().__init__()
        self.config = Settings()


def asked(model: type[nn.Module]) -> Training:
    with quiet(), init_empty_weights(include_buffers=True):
        skeleton = Skeleton(model())
    with quiet():
        blueprint = survey(skeleton, ModelInfo("m", "object", "", "", 0, 0), None)
        return ask(Prover(skeleton.model, blueprint))


@pytest.mark.parametrize("source", ["type:wav2vec2", "type:clip"])
def test_a_model_that_takes_no_tokens_or_has_no_embeddings(source: str) -> None:
    training = examine(Example(source, trainers=[Trainer.SFT])).training
    assert training.unknown == ""
    assert training.fused is not None
    assert training.base == ""


def test_a_module_without_a_config_is_unknown_and_not_clean() -> None:
    training = asked(Net)
    assert "transformers" in training.unknown
    assert not list(lacks(training.by([Trainer.TRANSFORMERS])))
    (lack,) = lacks(training.by([Trainer.SFT]))
    assert (lack.what, lack.why) == ("TRL's trainers", training.unknown)


def test_a_module_with_a_config_that_is_not_transformers_is_unknown() -> None:
    assert "transformers" in asked(Configured).unknown


def test_a_model_that_cannot_be_run_keeps_what_is_static() -> None:
    training = asked(Broken).by([Trainer.SFT])
    assert training.fused is None
    assert training.checkpointing is not None
    assert training.needs == {"gradient_checkpointing": False}
    (lack,) = lacks(training)
    assert (lack.what, "cannot be run" in lack.why) == ("the loss of SFTTrainer", True)


def test_a_version_of_trl_that_is_too_old_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[behaviour.__module__], "version", lambda name: "0.9.0")
    training = asked(Unsupporting).by([Trainer.DPO, Trainer.TRANSFORMERS])
    assert "0.9.0" in training.unknown
    assert [lack.what for lack in lacks(training)] == ["TRL's trainers"]


def test_a_head_that_cannot_be_compared_is_told_of_those_who_take_it() -> None:
    tail = dataclasses.replace(Training().tail, reason="too large")
    training = Training(fused_by=(Trainer.SFT, Trainer.DPO), tail=tail)
    assert not list(lacks(training.by([Trainer.REWARD, Trainer.TRANSFORMERS])))
    (lack,) = lacks(training.by([Trainer.SFT, Trainer.DPO]))
    assert lack.what == "the loss of SFTTrainer and DPOTrainer"
    assert "too large" in lack.why


@pytest.mark.parametrize("name", ["llama", "qwen3", "bert", "t5", "whisper", "mamba2"])
def test_a_model_whose_loss_is_known_lacks_nothing(name: str) -> None:
    training = examine(Example(f"type:{name}", trainers=[Trainer.TRANSFORMERS])).training
    assert training.loss.shifted is not None
    assert list(lacks(training)) == []


def test_a_loss_that_raises_is_told_of_transformers_trainer_alone() -> None:
    class Raising(Plain):
        def loss(self, *_: Any) -> Any:
            raise RuntimeError("no")

    with torch.device("meta"):
        model = Raising()
    outputs = BackboneOutputs(model)
    inputs = {"input_ids": torch.zeros((2, 3), dtype=torch.long, device="meta")}
    with outputs.recorded():
        model.base_model(**inputs)
    _, loss = measured(model, inputs, behaviour(), outputs, outputs.sources(), passes_count=True)
    training = Training(loss=loss)
    assert training.loss.shifted is None
    (lack,) = lacks(training.by([Trainer.TRANSFORMERS]))
    assert "no" in lack.why
    assert list(lacks(training.by([Trainer.SFT]))) == []


@pytest.mark.parametrize(("name", "has"), [("llama", True), ("cohere", False)])
def test_whether_reward_models_have_a_class(name: str, has: bool) -> None:
    assert examine(Example(f"type:{name}", trainers=[Trainer.REWARD])).training.has_classifier is has


@pytest.mark.parametrize("name", ["llama", "granitemoe", "llama4_text", "kosmos-2.5", "fsmt"])
def test_a_backbone_is_run_few_times(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    real = fused_head.run

    def counted(*args: Any, **kwargs: Any) -> None:
        runs.append("fused")
        real(*args, **kwargs)

    monkeypatch.setattr(fused_head, "run", counted)
    examine(Example(f"type:{name}", trainers=[Trainer.SFT]))
    assert len(runs) == 1


@pytest.mark.parametrize(
    ("source", "trainers"),
    [
        ("type:gpt2", DEFAULT_TRAINERS),
        ("type:bert", (Trainer.TRANSFORMERS,)),
        ("toy:trainers.Plain", DEFAULT_TRAINERS),
        ("toy:trainers.rewarding", (Trainer.TRANSFORMERS,)),
    ],
)
def test_whom_a_model_is_usually_trained_with(source: str, trainers: tuple[Trainer, ...]) -> None:
    blueprint: Blueprint = examine(Example(source))
    assert usual_trainers(blueprint) == trainers
