"""The trial of a patch: each step says what went wrong, and what is good passes all of them."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from archlint.core.safety import Safety
from archlint.core.surgery import Step, Way
from archlint.engine import Options, opening
from archlint.sources import SourceOptions
from archlint.subject import Bench, NotVerifiableError
from archlint.surgery.patch import Patch, PatchError

WIDTH = 64


class Wrapped(nn.Module):
    """Hands its input on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden)


class Scaled(Wrapped):
    """Makes its output smaller."""

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden) * 0.5


class Clipped(nn.Module):
    """Has limits, as Gemma 4's towers have them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)
        for name, value in (("input_min", "-inf"), ("input_max", "inf"), ("output_min", "-inf"), ("output_max", "inf")):
            self.register_buffer(name, torch.tensor(float(value)))

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.linear(torch.clamp(hidden, self.input_min, self.input_max))
        return torch.clamp(hidden, self.output_min, self.output_max)


class Tiny(nn.Module):
    """A language model with a wrapper in each layer."""

    wrapper: type[nn.Module] = Wrapped

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.config: Any = config
        width = self.config.hidden_size
        self.spare = nn.Parameter(torch.zeros(3))
        self.embed = nn.Embedding(self.config.vocab_size, width)
        self.layers = nn.ModuleList(
            nn.ModuleDict({"q_proj": self.wrapper(width), "o_proj": nn.Linear(width, width)})
            for _ in range(self.config.num_hidden_layers)
        )

    def forward(self, input_ids: Tensor) -> Tensor:
        hidden = self.embed(input_ids)
        for layer in self.layers:
            hidden = hidden + layer["o_proj"](torch.sin(layer["q_proj"](hidden)))
        return hidden


class TinyScaled(Tiny):
    wrapper = Scaled


class TinyClipped(Tiny):
    wrapper = Clipped


class TinyNormed(Tiny):
    """Gathers statistics of what it sees in training."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.norm = nn.BatchNorm1d(self.config.hidden_size)

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.norm(super().forward(input_ids).transpose(1, 2))


class TinyCoarse(Tiny):
    """Makes much of rounding."""

    def forward(self, input_ids: Tensor) -> Tensor:
        hidden = super().forward(input_ids)
        return hidden + torch.sin(1e5 * hidden.detach())


GOOD = """
import copy

from torch import nn


def unwrap(model):
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ in ("Wrapped", "Scaled"):
                linear = child.linear
                linear.kept = [child]
                setattr(parent, name, linear)
    return model


def rewrap(model):
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if hasattr(child, "kept"):
                (wrapper,) = child.__dict__.pop("kept")
                setattr(parent, name, wrapper)
    return model
"""
KEYS = """

def to_original(state, model):
    return {key.replace("q_proj.", "q_proj.linear."): tensor for key, tensor in state.items()}


def to_unwrapped(state, model):
    return {key.replace("q_proj.linear.", "q_proj."): tensor for key, tensor in state.items()}
"""
ALL = [
    "unwrap",
    "unwrap again",
    "forward",
    "state dict",
    "inject adapters",
    "train 3 steps",
    "adapter on the original",
    "merge",
    "rewrap",
    "save and load",
]


def changed(old: str, new: str) -> str:
    """A good file, but for this."""
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def config(**sizes: int) -> PretrainedConfig:
    made = PretrainedConfig()
    for name, size in {"hidden_size": WIDTH, "vocab_size": 512, "num_hidden_layers": 3, **sizes}.items():
        setattr(made, name, size)
    return made


def trial(text: str, model: type[Tiny] = Tiny) -> dict[str, Step]:
    """The steps of a file of somebody's own, by name."""
    with opening(model(config()), Options(prove=False)) as found:
        assert isinstance(found, Bench)
        return {step.name: step for step in found.verify(Patch(text, "mine.py"))}


def labels(steps: dict[str, Step]) -> dict[str, str]:
    return {name: step.safety.value for name, step in steps.items() if step.safety is not None}


def test_a_good_file_passes() -> None:
    steps = trial(GOOD)

    assert list(steps) == ALL
    assert all(step.passed for step in steps.values())
    assert labels(steps) == dict.fromkeys(["forward", "merge", "rewrap"], "exact")
    assert steps["unwrap"].told == "2 linears are where there were none"
    assert steps["inject adapters"].told == "2 adapters"
    assert "every adapter gets a gradient" in steps["train 3 steps"].told
    assert steps["state dict"].told.startswith("not checked")
    assert steps["adapter on the original"].told.startswith("not checked")


def test_the_model_stays_as_it_is() -> None:
    model = Tiny(config())
    before = [(name, id(module)) for name, module in model.named_modules()]
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    with opening(model, Options(prove=False)) as found:
        assert isinstance(found, Bench)
        found.verify(Patch(GOOD))

    assert [(name, id(module)) for name, module in model.named_modules()] == before
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


SWAP = "setattr(parent, name, linear)"
BACK = "setattr(parent, name, wrapper)"
BAD = {
    "no rewrap": (GOOD.partition("def rewrap")[0], "rewrap", "the file has no rewrap(model)"),
    "fresh layers each time": (
        changed("    return model\n\n\ndef rewrap", "    fresh(model)\n    return model\n\n\ndef rewrap")
        + textwrap.dedent(
            """
            def fresh(model):
                for layer in model.layers:
                    layer["q_proj"] = copy.deepcopy(layer["q_proj"])
            """
        ),
        "unwrap again",
        "it changes a model that is unwrapped already",
    ),
    "once only": (
        changed("def unwrap(model):", "def unwrap(model):\n    assert not hasattr(model.layers[0]['q_proj'], 'kept')"),
        "unwrap again",
        "AssertionError",
    ),
    "another shape": (
        changed(
            "    return model\n\n\ndef rewrap", "    model.embed.__class__ = Twice\n    return model\n\n\ndef rewrap"
        )
        + "\n\nclass Twice(nn.Embedding):\n    def forward(self, ids):\n"
        + "        return super().forward(ids).repeat(2, 1, 1)\n",
        "forward",
        "the outputs have other shapes than those of the original",
    ),
    "other values": (
        changed(SWAP, f"linear.weight.data *= 2\n                {SWAP}") + KEYS,
        "state dict",
        "layers.0.q_proj.linear.weight has other values",
    ),
    "keys of another": (
        GOOD + KEYS.replace('"q_proj.linear.")', '"q_proj.inner.")'),
        "state dict",
        "the state dict has no layers.0.q_proj.linear.bias",
    ),
    "an adapter of another": (
        GOOD + KEYS.replace('"q_proj.linear.")', '"q_proj.linear.").replace("lora_A", "lora_C")'),
        "adapter on the original",
        "the original has no base_model.model.layers.0.q_proj.linear.lora_C.",
    ),
    "what PEFT cannot adapt": (
        changed(SWAP, f"del linear.in_features\n                {SWAP}"),
        "inject adapters",
        "in_features",
    ),
    "nothing that is computed with": (
        changed("    return model\n\n\ndef rewrap", "    aside(model)\n    return model\n\n\ndef rewrap").replace(
            '"Wrapped", "Scaled"', ""
        )
        + "\n\ndef aside(model):\n    if not hasattr(model, 'aside'):\n        model.aside = nn.Linear(2, 2)\n",
        "train 3 steps",
        "no output depends on what is trained",
    ),
    "wrappers do not come back": (
        changed(BACK, "pass"),
        "rewrap",
        "the state dict has no layers.0.q_proj.linear.bias",
    ),
    "more keys come back": (
        changed(BACK, f"wrapper.more = nn.Linear(1, 1)\n                {BACK}"),
        "rewrap",
        "the state dict has layers.0.q_proj.more.bias besides",
    ),
    "rewrap raises": (
        changed("def rewrap(model):", "def rewrap(model):\n    raise KeyError('gone')"),
        "rewrap",
        "KeyError: 'gone'",
    ),
    "what comes back computes otherwise": (
        changed(BACK, f"wrapper.forward = lambda hidden, own=wrapper: own.linear(hidden) * 2\n                {BACK}"),
        "save and load",
        "with these weights the original differs from what was rewrapped",
    ),
    "another size comes back": (
        changed(BACK, f"model.spare = nn.Parameter(model.spare.new_zeros(5))\n                {BACK}"),
        "save and load",
        "size mismatch",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_the_step_that_fails_says_why_and_is_the_last(name: str) -> None:
    text, failing, told = BAD[name]
    steps = trial(text)

    assert [step.name for step in steps.values() if not step.passed] == [failing]
    assert list(steps) == ALL[: ALL.index(failing) + 1]
    assert told in steps[failing].told


def test_a_file_with_key_maps_is_tried_with_them() -> None:
    steps = trial(GOOD + KEYS)

    assert steps["state dict"].told == "the original's loads, and comes back bit for bit"
    assert labels(steps) == dict.fromkeys(["forward", "adapter on the original", "merge", "rewrap"], "exact")


def test_statistics_that_training_gathers_are_no_difference() -> None:
    expected = dict.fromkeys(["forward", "adapter on the original", "merge", "rewrap"], "exact")
    assert labels(trial(GOOD + KEYS, TinyNormed)) == expected


def test_rounding_that_a_model_makes_much_of_is_no_difference() -> None:
    rounded = changed(BACK, f"wrapper.linear.weight.data.mul_(1 + 2e-7)\n                {BACK}")
    steps = trial(rounded, TinyCoarse)

    assert labels(steps) == dict.fromkeys(["forward", "merge", "rewrap"], "exact")
    assert "up to rounding (0.0" in steps["rewrap"].told


def test_lossy_is_said_with_the_figure() -> None:
    steps = trial(GOOD + KEYS, TinyScaled)

    assert all(step.passed for step in steps.values())
    expected = {"forward": "lossy", "adapter on the original": "lossy", "merge": "exact", "rewrap": "lossy"}
    assert labels(steps) == expected
    assert "standard deviations of the outputs" in steps["forward"].told


def test_training_that_is_lost_shows() -> None:
    lost = changed("linear = child.linear\n", "linear = copy.deepcopy(child.linear)\n")
    assert labels(trial(lost)) == {"forward": "exact", "merge": "exact", "rewrap": "lossy"}


def test_what_merges_otherwise_shows() -> None:
    halved = changed("linear.kept =", "linear.__class__ = Halved\n                linear.kept =")
    halved = halved.replace(BACK, f"child.__class__ = nn.Linear\n                {BACK}")
    halved += (
        "\n\nclass Halved(nn.Linear):\n    def forward(self, hidden):\n        return super().forward(hidden) / 2\n"
    )

    found = labels(trial(halved, TinyScaled))

    assert found == {"forward": "exact", "merge": "lossy", "rewrap": "lossy"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1", "mine.py defines neither unwrap"),
        ("1 / 0", "mine.py raises ZeroDivisionError"),
        ("raise SystemExit(0)", "mine.py raises SystemExit"),
        ("import not_there", "mine.py raises ModuleNotFoundError"),
        ("def unwrap(model):\n    raise ValueError('no Gemma')", "mine.py raises on the model: ValueError: no Gemma"),
        ("def unwrap(model):\n    return model", "mine.py does not fit the model: it changes no module of it"),
        ("def register(config, model):\n    return config", "it has none of its classes in WRAPPERS"),
    ],
)
def test_a_file_that_is_no_patch_for_the_model(text: str, told: str) -> None:
    with pytest.raises(PatchError, match=re.escape(told)):
        trial(text)


def test_a_file_may_hold_what_other_modules_hold() -> None:
    steps = trial(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nassert __file__ == 'mine.py'\n"
        + GOOD
        + "\n\n@dataclass\nclass Settings:\n    name: str = ''\n"
    )
    assert all(step.passed for step in steps.values())


def test_a_file_for_one_size_cannot_be_tried_on_a_smaller_copy() -> None:
    bound = changed("linear.kept =", f"assert linear.in_features == {WIDTH}\n                linear.kept =")
    with pytest.raises(NotVerifiableError, match="fits the model, and no small copy"):
        trial(bound)


def test_a_model_without_a_small_copy_cannot_be_tried() -> None:
    model = Tiny(config())
    del model.config
    with opening(model, Options(prove=False)) as found:
        assert isinstance(found, Bench)
        with pytest.raises(NotVerifiableError, match="no config"):
            found.verify(Patch(GOOD))


def own(source: str | nn.Module, way: Way) -> list[Step]:
    """The steps of archlint's own patch."""
    options = Options(prove=False, source=SourceOptions(offline=True))
    with opening(source, options) as found:
        assert isinstance(found, Bench)
        patch = found.patch(way)
        assert patch is not None
        return found.verify(patch)


CONFIGS: dict[Way, dict[str, Any]] = {
    Way.UNWRAP: {
        "model_type": "kyutai_speech_to_text",
        "architectures": ["KyutaiSpeechToTextForConditionalGeneration"],
        "ffn_dim": 64,
        "codebook_vocab_size": 20,
        "num_codebooks": 4,
        "audio_pad_token_id": 19,
        "audio_bos_token_id": 18,
    },
    Way.SPLIT: {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 32, "n_layer": 2, "n_head": 4},
    Way.EXPERTS: {"model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "num_local_experts": 4},
    Way.SHIELD: {"model_type": "phimoe", "architectures": ["PhimoeForCausalLM"], "num_local_experts": 4},
}
SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "num_experts_per_tok": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


@pytest.mark.parametrize("way", CONFIGS)
def test_our_own_patches_of_real_models_are_exact_in_every_step(way: Way, tmp_path: Path) -> None:
    sizes = {} if way is Way.SPLIT else {name: n for name, n in SIZES.items() if name not in _unknown(way)}
    (tmp_path / "config.json").write_text(json.dumps({**sizes, **CONFIGS[way]}))
    steps = own(str(tmp_path), way)

    assert [step.name for step in steps] == ALL
    assert {step.name: step.safety for step in steps if step.safety is not None} == dict.fromkeys(
        ["forward", "adapter on the original", "merge", "rewrap"], Safety.EXACT
    )
    assert all(step.passed and "not checked" not in step.told for step in steps)
    assert "every adapter gets a gradient" in steps[ALL.index("train 3 steps")].told


def _unknown(way: Way) -> set[str]:
    return {"intermediate_size"} if way is Way.UNWRAP else set()


def test_a_clipped_linear_that_is_kept_is_exact_until_it_is_merged() -> None:
    steps = {step.name: step for step in own(TinyClipped(config()), Way.KEEP)}

    assert all(step.passed for step in steps.values())
    expected = {"forward": "exact", "adapter on the original": "lossy", "merge": "lossy", "rewrap": "lossy"}
    assert labels(steps) == expected
    assert "limits at ±2 of what they bound" in steps["forward"].told


def test_a_clipped_linear_that_is_registered_is_exact() -> None:
    steps = {step.name: step for step in own(TinyClipped(config()), Way.REGISTER)}

    assert list(steps) == ALL[4:]
    assert all(step.passed for step in steps.values())
    assert labels(steps) == dict.fromkeys(["adapter on the original", "merge", "rewrap"], "exact")


def test_a_clipped_linear_that_is_taken_out_is_lossy() -> None:
    steps = {step.name: step for step in own(TinyClipped(config()), Way.UNWRAP)}

    assert all(step.passed for step in steps.values())
    assert labels(steps)["forward"] == "lossy"
    assert labels(steps)["merge"] == "exact"
