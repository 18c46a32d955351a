"""Fused projections are cut where their callers cut them, computed alike in parts, and fused again bit for bit."""

from __future__ import annotations

import copy
import json
import operator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import nn

from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.surgery import Effect, Way
from archlint.fixtures.toys.projections import WIDTH, Dense, Fused, ScaledLinear, Stack, Transposed
from archlint.proving import Prover
from archlint.quiet import quiet
from archlint.skeleton import Skeleton, build
from archlint.surgery.composing import composed
from archlint.surgery.fused import options
from archlint.surgery.option import Option
from archlint.surgery.patch import Patch
from archlint.survey import survey, without_weights

ROUNDING = 1e-5
"""In standard deviations of the outputs."""
IDS = torch.tensor([[3, 1, 4, 1, 5, 9], [2, 6, 5, 3, 5, 8]])

HF = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 64}
FALCON = {**HF, "alibi": False}
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 64},
    "gpt_neox": {"model_type": "gpt_neox", **HF, "intermediate_size": 64},
    "phi3": {"model_type": "phi3", **HF, "intermediate_size": 48, "num_key_value_heads": 2, "pad_token_id": 0},
    "bloom": {"model_type": "bloom", "hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": 64},
    "falcon": {"model_type": "falcon", **FALCON},
    "falcon, grouped": {
        "model_type": "falcon", **FALCON, "new_decoder_architecture": True, "num_kv_heads": 2
    },
    "falcon, plain": {"model_type": "falcon", **FALCON, "multi_query": False, "bias": True},
    "mpt": {
        "model_type": "mpt", "d_model": 32, "n_layers": 2, "n_heads": 4, "vocab_size": 64,
        "attn_config": {"clip_qkv": 0.1},
    },
}  # fmt: skip
LAYOUTS = {
    "gpt2": {"GPT2Attention.c_attn": {96: {"q_proj": 32, "k_proj": 32, "v_proj": 32}}},
    "gpt_neox": {"GPTNeoXAttention.query_key_value": {96: {"q_proj": 8, "k_proj": 8, "v_proj": 8}}},
    "phi3": {
        "Phi3Attention.qkv_proj": {64: {"q_proj": 32, "k_proj": 16, "v_proj": 16}},
        "Phi3MLP.gate_up_proj": {96: {"gate_proj": 48, "up_proj": 48}},
    },
    "bloom": {"BloomAttention.query_key_value": {96: {"q_proj": 8, "k_proj": 8, "v_proj": 8}}},
    "falcon": {"FalconAttention.query_key_value": {48: {"q_proj": 32, "k_proj": 8, "v_proj": 8}}},
    "falcon, grouped": {"FalconAttention.query_key_value": {64: {"q_proj": 16, "k_proj": 8, "v_proj": 8}}},
    "falcon, plain": {"FalconAttention.query_key_value": {96: {"q_proj": 8, "k_proj": 8, "v_proj": 8}}},
    "mpt": {"MptAttention.Wqkv": {96: {"q_proj": 32, "k_proj": 32, "v_proj": 32}}},
}
"""The rows of each part in turn, as the code of each model has them."""


def found(model: nn.Module, blueprint: Blueprint) -> list[Option]:
    with quiet():
        return options(model, blueprint, Prover(model, blueprint))


@cache
def split(name: str) -> tuple[nn.Module, list[Option]]:
    with quiet():
        skeleton = build(CONFIGS[name])
        return skeleton.model, found(skeleton.model, survey(skeleton, ModelInfo(name, "type", "", "", 0, 0)))


def split_toy(model: nn.Module) -> list[Option]:
    meta = model if next(model.parameters()).is_meta else without_weights(model)
    with quiet():
        return found(meta, survey(Skeleton(meta), ModelInfo("toy", "object", "", "", 0, 0)))


def patch_of(several: list[Option]) -> Any:
    constants: dict[str, tuple[Any, str]] = {"MADE_FOR": ("a model", "What it was made for.")}
    for option in several:
        for name, (values, comment) in option.constants.items():
            constants[name] = {**constants.get(name, ({}, ""))[0], **values}, comment
    return Patch(composed("A patch.", constants, several[0].templates)).module


def prepared(name: str) -> tuple[nn.Module, Any]:
    skeleton, several = split(name)
    torch.manual_seed(0)
    with quiet():
        model = type(skeleton)(copy.deepcopy(skeleton.config)).float().eval()
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, mean=float(parameter.detach().mean()), std=0.1)  # biases count
    return model, patch_of(several)


def logits(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        output: torch.Tensor = model.eval()(input_ids=IDS).logits
    return output


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max() / one.std())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[key], other[key]) for key in one)


def parts(name: str) -> list[str]:
    return [part for option in split(name)[1] for part in option.target.replace("{}.", "").split(",")]


@pytest.mark.parametrize("name", CONFIGS)
def test_the_parts_are_those_of_the_code_and_have_its_names(name: str) -> None:
    _, several = split(name)
    assert [option.operation.lack for option in several] == [""] * len(several)
    assert {key: value for option in several for key, value in option.constants["PARTS"][0].items()} == LAYOUTS[name]
    assert all(option.operation.way is Way.SPLIT for option in several)
    assert all(option.operation.effect == Effect() for option in several)  # beyond rounding
    assert {site.path for option in several for site in option.operation.sites} == {
        path
        for path, module in split(name)[0].named_modules()
        for key in LAYOUTS[name]
        if path.endswith("." + key.partition(".")[2])
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_split_models_compute_the_same_and_are_fused_again_bit_for_bit(name: str) -> None:
    model, patch = prepared(name)
    before, state = logits(model), {key: value.clone() for key, value in model.state_dict().items()}
    modules = dict(model.named_modules())
    assert patch.unwrap(model) is model
    assert apart(before, logits(model)) <= ROUNDING
    assert not torch.equal(before, torch.zeros_like(before))
    for option in split(name)[1]:
        for site in option.operation.sites:
            for part in option.target.split(","):
                assert type(model.get_submodule(part.format(site.path))) is nn.Linear
    assert patch.rewrap(model) is model
    assert torch.equal(logits(model), before)
    assert same(dict(model.state_dict()), state)
    assert all(module is modules[path] for path, module in model.named_modules())


@pytest.mark.parametrize("name", CONFIGS)
def test_state_dicts_are_cut_and_joined_bit_for_bit(name: str) -> None:
    model, patch = prepared(name)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    cut = patch.to_unwrapped(state, model)
    assert same(patch.to_original(cut, model), state)
    patch.unwrap(model)
    assert cut.keys() == model.state_dict().keys() != state.keys()
    assert all(torch.equal(cut[key], value) for key, value in model.state_dict().items())
    assert same(patch.to_original(model.state_dict(), model), state)
    assert same(patch.to_unwrapped(model.state_dict(), model), dict(model.state_dict()))
    assert all(value.is_contiguous() for value in patch.to_original(cut, model).values())
    cut.popitem()
    del cut[next(key for key in cut if f".{parts(name)[0]}.weight" in key)]
    with pytest.raises(ValueError, match=f"lacks its parts {parts(name)[0]}"):
        patch.to_original(cut, model)


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "phi3", "bloom", "falcon, plain", "mpt"])
def test_adapters_on_the_parts_train_merge_and_go_back_to_the_originals_keys(name: str) -> None:
    model, patch = prepared(name)
    before, keys = logits(model), list(model.state_dict())
    adapted: Any = get_peft_model(patch.unwrap(model), LoraConfig(target_modules=parts(name), r=2))
    optimizer = torch.optim.SGD([p for p in adapted.parameters() if p.requires_grad], lr=1.0)
    adapted.train()(input_ids=IDS, labels=IDS).loss.backward()
    dead = [n for n, p in adapted.named_parameters() if "lora_B" in n and (p.grad is None or not p.grad.any())]
    assert dead == []
    optimizer.step()
    trained = logits(adapted)
    assert apart(before, trained) > 100 * ROUNDING
    with pytest.raises(ValueError, match=r"carries an adapter: model = model\.merge_and_unload"):
        patch.rewrap(adapted)
    merged = patch.rewrap(adapted.merge_and_unload())
    assert list(merged.state_dict()) == keys
    assert apart(trained, logits(merged)) <= 10 * ROUNDING


def targets(name: str, choice: str) -> list[str]:
    if choice == "one":
        return parts(name)[1:2]
    if choice == "all":
        return parts(name)
    return [*parts(name)[::2], {"gpt2": "c_proj", "gpt_neox": "dense", "phi3": "down_proj"}[name]]


@pytest.mark.parametrize(
    ("name", "choice", "rslora"),
    [
        ("gpt2", "all", False),
        ("gpt2", "some, and others", False),
        ("gpt_neox", "all", True),
        ("gpt_neox", "some, and others", False),
        ("phi3", "one", False),
        ("phi3", "some, and others", True),
    ],
)
def test_a_lora_on_the_parts_is_one_on_the_original(name: str, choice: str, rslora: bool, tmp_path: Path) -> None:
    model, patch = prepared(name)
    original = copy.deepcopy(model)
    config = LoraConfig(
        target_modules=targets(name, choice), r=2, lora_alpha=3, use_rslora=rslora, init_lora_weights=False
    )
    adapted: Any = get_peft_model(patch.unwrap(model), config)
    wanted = logits(adapted)
    adapted.save_pretrained(tmp_path)

    written, settings = load_file(tmp_path / "adapter_model.safetensors"), tmp_path / "adapter_config.json"
    made = patch.original_config(json.loads(settings.read_text()), written, original)
    save_file(patch.to_original(written, original), tmp_path / "adapter_model.safetensors")
    settings.write_text(json.dumps(made))
    loaded = PeftModel.from_pretrained(copy.deepcopy(original), tmp_path)
    before = logits(original)
    assert apart(wanted, logits(loaded)) <= 10 * ROUNDING
    assert apart(before, wanted) > 100 * ROUNDING


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "phi3", "falcon"])
def test_a_lora_on_the_original_is_one_on_the_parts(name: str, tmp_path: Path) -> None:
    model, patch = prepared(name)
    fused = [key.partition(".")[2] for key in LAYOUTS[name]]
    config = LoraConfig(target_modules=fused, r=2, init_lora_weights=False)
    adapted: Any = get_peft_model(copy.deepcopy(model), config)
    wanted = logits(adapted)
    adapted.save_pretrained(tmp_path)
    file, settings = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    save_file(patch.to_unwrapped(load_file(file), adapted), file)
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "target_modules": parts(name)}))
    loaded = PeftModel.from_pretrained(patch.unwrap(model), tmp_path)
    assert apart(wanted, logits(loaded)) <= 10 * ROUNDING


def test_what_is_no_plain_lora_is_not_converted() -> None:
    model, patch = prepared("phi3")
    config = LoraConfig(target_modules=["q_proj"], r=2, use_dora=True)
    adapted: Any = get_peft_model(patch.unwrap(model), config)
    with pytest.raises(ValueError, match="lora_magnitude_vector"):
        patch.to_original(get_peft_model_state_dict(adapted), adapted)
    with pytest.raises(ValueError, match="rank_pattern"):
        patch.original_config({"r": 2, "lora_alpha": 2, "rank_pattern": {"q_proj": 4}}, {}, adapted)


def test_unwrapped_models_are_copied_moved_and_switched_like_any() -> None:
    model, patch = prepared("gpt_neox")
    before, state = logits(model), {key: value.clone() for key, value in model.state_dict().items()}
    with patch.unwrapped(model):
        keys = list(model.state_dict())
        assert list(patch.unwrap(model).state_dict()) == keys != list(state)
        twin = copy.deepcopy(model).to(torch.float64).train().requires_grad_(False)
    assert list(model.state_dict()) == list(state)
    fused = patch.rewrap(twin)
    assert all(torch.equal(value, state[key].double()) for key, value in fused.state_dict().items())
    assert all(module.training for module in fused.modules())
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert apart(before, logits(fused.float())) == 0
    assert list(patch.rewrap(fused).state_dict()) == list(state)


def test_all_linear_reaches_the_parts() -> None:
    model, patch = prepared("gpt_neox")
    adapted: Any = get_peft_model(patch.unwrap(model), LoraConfig(target_modules="all-linear"))
    assert {path.rpartition(".")[2] for path in adapted.targeted_module_names} >= {"q_proj", "k_proj", "v_proj"}
    assert not any(path.endswith("query_key_value") for path in adapted.targeted_module_names)


def test_models_that_do_not_fit_are_refused_and_stay_as_they_are() -> None:
    model, patch = prepared("gpt_neox")
    with pytest.raises(ValueError, match=r"Linear has no GPTNeoXAttention\.query_key_value: .* is for a model"):
        patch.unwrap(nn.Linear(2, 2))
    layer = model.gpt_neox.layers[1].attention
    layer.query_key_value = nn.Linear(32, 48)
    with pytest.raises(ValueError, match=r"layers\.1\.attention\.query_key_value has 48 rows, .* is for 96"):
        patch.unwrap(model)
    assert type(model.gpt_neox.layers[0].attention.query_key_value) is nn.Linear
    layer.query_key_value = nn.Linear(32, 96)
    layer.query_key_value.weight = model.gpt_neox.layers[0].attention.query_key_value.weight
    with pytest.raises(ValueError, match=r"query_key_value\.weight is tied to another layer's"):
        patch.unwrap(model)
    layer.query_key_value.weight = nn.Parameter(torch.zeros(96, 32, dtype=torch.int8), requires_grad=False)
    with pytest.raises(ValueError, match="is quantized"):
        patch.unwrap(model)
    layer.query_key_value = nn.Linear(32, 96)
    adapted: Any = get_peft_model(model, LoraConfig(target_modules=["query_key_value"]))
    with pytest.raises(ValueError, match="unwrap before adding adapters"):
        patch.unwrap(adapted)


def hidden_of(toy: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        output: torch.Tensor = toy(IDS)
    return output


class Attention(nn.Module):
    """One linear for query, key and value."""

    def __init__(self) -> None:
        super().__init__()
        self.fused = nn.Linear(WIDTH, 3 * WIDTH)

    @staticmethod
    def attend(one: torch.Tensor, two: torch.Tensor, three: torch.Tensor) -> torch.Tensor:
        return torch.softmax(one @ two.mT, -1) @ three


class Clamped(Attention):
    """Its numbers are changed one by one before they are taken apart."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        mixed = self.fused(hidden)
        mixed = (2 * mixed + torch.ones(3 * WIDTH, device=mixed.device)).clamp(-1, 1).to(torch.bfloat16)
        first, second, third = mixed.split([4, 12, 8], dim=-1)
        return self.attend(first.repeat(1, 1, 3), second, third).float()


class Unnamed(Attention):
    """It gives no part a name, but one."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        mixed = self.fused(hidden)
        keys = mixed[..., WIDTH : 2 * WIDTH]
        return self.attend(mixed[..., :WIDTH].tanh(), keys, mixed[..., 2 * WIDTH :].tanh())


class Rotated(Attention):
    """Its query and key are taken apart further."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        query, key, value = self.fused(hidden).chunk(3, -1)
        query_rot, query_pass = query[..., :2], query[..., 2:]
        return self.attend(torch.cat([query_rot.sin(), query_pass], -1), key, value)


class Gated(nn.Module):
    """Its fused layer is called as a part of it would be."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(WIDTH, 2 * WIDTH)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        query_states, gate = self.q_proj(hidden).chunk(2, -1)
        return torch.softmax(query_states @ hidden.mT, -1) @ hidden * gate.sigmoid()


class Alternating(nn.Module):
    """Gate and up in every other row."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_up = nn.Linear(WIDTH, 2 * WIDTH, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        gate, up_states = self.gate_up(hidden).unflatten(-1, (-1, 2)).unbind(-1)
        return gate.sigmoid() * up_states


class Stages(Stack):
    """A layer of another width in each place."""

    def __init__(self) -> None:
        super().__init__(Clamped)
        self.layers.append(Halves())
        self.layers.append(Halves(2))


class Halves(nn.Module):
    def __init__(self, times: int = 1) -> None:
        super().__init__()
        self.fused = nn.Linear(WIDTH, 2 * WIDTH * times)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        gate, up = self.fused(hidden).chunk(2, -1)
        return (gate * up)[..., :WIDTH]


THREE = {"q_proj": 8, "k_proj": 8, "v_proj": 8}


@pytest.mark.parametrize(
    ("toy", "layout"),
    [
        (Fused, {"FusedAttention.qkv_proj": {24: THREE}}),
        (Transposed, {"TransposedAttention.c_attn": {24: THREE}}),
        (Clamped, {"Clamped.fused": {24: {"first_proj": 4, "second_proj": 12, "third_proj": 8}}}),
        (Unnamed, {"Unnamed.fused": {24: {"part_0": 8, "k_proj": 8, "part_2": 8}}}),
        (Rotated, {"Rotated.fused": {24: THREE}}),
        (Gated, {"Gated.q_proj": {16: {"query_proj": 8, "gate_proj": 8}}}),
        (Alternating, {"Alternating.gate_up": {16: {"gate_proj": 1, "up_proj": 1}}}),
    ],
)
def test_hand_made_modules_are_split(toy: type[nn.Module], layout: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = toy() if issubclass(toy, Stack) else Stack(toy)
    (option,) = split_toy(model)
    assert option.operation.lack == ""
    assert option.constants["PARTS"][0] == layout
    patch = patch_of([option])
    before = hidden_of(model)
    after = hidden_of(patch.unwrap(model))
    assert apart(before, after) <= (0.05 if toy is Clamped else ROUNDING)  # that one rounds to bfloat16
    names = [target.removeprefix("{}.") for target in option.target.split(",")]
    adapted: Any = get_peft_model(model, LoraConfig(target_modules=names))
    assert len(adapted.targeted_module_names) == 2 * len(names)
    assert torch.equal(before, hidden_of(patch.rewrap(adapted.unload())))


def test_layers_of_several_sizes_are_each_cut_at_their_own_rows() -> None:
    model = Stages()
    several = split_toy(model)
    patch = patch_of(several)
    assert patch.PARTS["Halves.fused"] == {16: {"gate_proj": 8, "up_proj": 8}, 32: {"gate_proj": 16, "up_proj": 16}}
    before, state = hidden_of(model), model.state_dict()
    assert apart(before, hidden_of(patch.unwrap(model))) <= 0.05
    assert same(patch.to_original(model.state_dict(), model), state)


class Overlapping(Attention):
    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        mixed = self.fused(hidden)
        return self.attend(mixed[..., :WIDTH], mixed[..., 1 : WIDTH + 1], mixed[..., 2 * WIDTH :])


class Leaving(Attention):
    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        mixed = self.fused(hidden)
        return self.attend(mixed[..., :6], mixed[..., 6:12], mixed[..., 14:22])


class Whole(Attention):
    """It takes apart a copy for each, and no rows."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        mixed = self.fused(hidden)
        query, key, value = mixed.expand(3, *mixed.shape).unbind()
        return self.attend(query, key, value)[..., :WIDTH].sin()


class Mixed(Attention):
    """Its first part is the first rows and the last."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        mixed = self.fused(hidden)
        key, value = mixed[..., 4:20].chunk(2, -1)
        return self.attend(mixed[..., [0, 1, 2, 3, 20, 21, 22, 23]], key, value)


class Reading(Attention):
    """Its code asks for the weight of the layer."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        query, key, value = self.fused(hidden.to(self.fused.weight.dtype)).chunk(3, -1)
        return self.attend(query, key, value)


class Idle(Attention):
    """It does not call the layer."""

    def forward(self, hidden: torch.Tensor, now: bool = False) -> torch.Tensor:
        if now:
            query, key, value = self.fused(hidden).chunk(3, -1)
            return self.attend(query, key, value)
        return hidden


class Scaled(Attention):
    def __init__(self) -> None:
        super().__init__()
        self.fused = ScaledLinear(WIDTH, 3 * WIDTH)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        query, key, value = self.fused(hidden).chunk(3, -1)
        return self.attend(query, key, value)


class Tied(Stack):
    def __init__(self) -> None:
        super().__init__(Rotated)
        self.layers[1].fused.weight = self.layers[0].fused.weight


@pytest.mark.parametrize(
    ("toy", "lack"),
    [
        (Overlapping, "some of its rows are in several parts"),
        (Leaving, "4 of its 24 rows are in no part"),
        (Whole, "its output is computed with before it is taken apart"),
        (Mixed, "the rows of its parts are mixed"),
        (Reading, "the model does not run with it: AttributeError: 'SplitLinear' object has no attribute 'weight'"),
        (Idle, "it is not called when the model is run here, or only in another size"),
        (Scaled, "ScaledLinear does more than multiply and add: its parts differ from it by"),
        (Tied, "its weight is tied to another layer's"),
    ],
)
def test_what_cannot_be_split_is_refused_with_the_reason(toy: type[nn.Module], lack: str) -> None:
    model = toy() if issubclass(toy, Stack) else Stack(toy)
    hidden_of(model)
    (option,) = split_toy(model)
    assert option.operation.lack.startswith(lack)
    assert option.operation.effect is None
    assert option.templates == ()
    assert len(option.operation.sites) == 2


def test_the_search_leaves_the_model_as_it_was() -> None:
    def parts_of(model: nn.Module) -> list[object]:
        return [part for module in model.modules() for part in (module, *module._parameters.values())]

    model = Stack(Rotated).to("meta")
    before = parts_of(model)
    assert [option.operation.lack for option in split_toy(model)] == [""]
    assert all(map(operator.is_, before, parts_of(model)))
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_without_fused_layers_has_nothing_to_split() -> None:
    assert split_toy(Dense()) == []
