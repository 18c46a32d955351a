"""Layers that look like a linear and are none: real ones of transformers, and ones made by hand."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

import archlint
from archlint.core.blueprint import ModelInfo
from archlint.core.safety import Safety
from archlint.core.surgery import Way
from archlint.proving import Prover
from archlint.skeleton import Skeleton
from archlint.surgery.option import Option
from archlint.surgery.shielding import options
from archlint.surgery.writing import written
from archlint.survey import survey, without_weights

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "moe_intermediate_size": 24,
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
TYPES: dict[str, dict[str, Any]] = {
    "phimoe": {"num_local_experts": 4},
    "llama4_text": {"num_local_experts": 4, "num_experts_per_tok": 1, "interleave_moe_layer_step": 1},
    "mixtral": {"num_local_experts": 4},
    "gpt_oss": {"num_local_experts": 4},
    "deepseek_v3": {
        "n_routed_experts": 4,
        "n_group": 2,
        "topk_group": 1,
        "first_k_dense_replace": 1,
        "q_lora_rank": 16,
        "kv_lora_rank": 16,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
    },
    "deepseek_v4": {"n_routed_experts": 4, "o_groups": 2, "o_lora_rank": 8, "num_key_value_heads": 1},
}
IDS = torch.arange(3, 19).reshape(2, 8)
every_type = pytest.mark.parametrize("name", TYPES)
linears_by_type = pytest.mark.parametrize("name", ["phimoe", "llama4_text"])


def make(name: str, dtype: torch.dtype = torch.float32) -> Any:
    return copy.deepcopy(built(name, dtype))


@cache
def built(name: str, dtype: torch.dtype) -> Any:
    torch.manual_seed(0)
    config = AutoConfig.for_model(name, **{**SIZES, **TYPES[name]})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=dtype)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.2)
    for path, buffer in model.named_buffers():
        if path.endswith("tid2eid"):  # which experts a token gets: zeros, without a checkpoint
            buffer.copy_(torch.arange(buffer.numel()).view_as(buffer) % 4)
    return model.eval()


def found(model: nn.Module) -> list[Option]:
    model = without_weights(model)
    blueprint = survey(Skeleton(model), ModelInfo("small", "type", type(model).__name__, "", 0, 0))
    return options(model, blueprint, Prover(model, blueprint))


@cache
def patch(name: str) -> Any:
    made = found(make(name))
    assert {option.operation.lack for option in made} == {""}
    return written(made, ModelInfo(name, "type", "", "", 0, 0), {"torch": torch.__version__}).module


def inner(model: nn.Module) -> list[str]:
    return [path for path, _ in model.named_modules() if path.endswith(".linear")]


def adapted(model: nn.Module) -> Any:
    torch.manual_seed(1)
    return get_peft_model(model, LoraConfig(r=3, lora_alpha=5, target_modules=inner(model), init_lora_weights=False))


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        outputs: Tensor = model(IDS).logits
    return outputs


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@every_type
def test_layers_of_real_models_are_shielded_exactly(name: str) -> None:
    for option in found(make(name)):
        assert option.operation.way is Way.SHIELD
        assert option.operation.effect is not None
        assert option.operation.effect.safety is Safety.EXACT
        grouped = "Grouped" in option.operation.sites[0].type.name
        assert option.constants["LAYERS"][0] == {option.operation.sites[0].type.name: not grouped}
        assert option.target == ("" if grouped else "{}.linear")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@every_type
def test_a_shielded_model_computes_the_same(name: str, dtype: torch.dtype) -> None:
    model = make(name, dtype)
    before, keys = logits(model), model.state_dict()
    classes = list(map(type, model.modules()))
    with patch(name).unwrapped(model):
        assert torch.equal(before, logits(model))
        assert torch.equal(before, logits(copy.deepcopy(model)))
        modules = list(model.modules())
        assert modules == list(patch(name).unwrap(model).modules())
    assert list(keys) == list(model.state_dict())
    assert same(keys, model.state_dict())
    assert classes == list(map(type, model.modules()))
    assert torch.equal(before, logits(model))


@every_type
def test_state_dicts_go_both_ways(name: str) -> None:
    model = make(name)
    original = model.state_dict()
    patch(name).unwrap(model)
    assert same(patch(name).to_unwrapped(original, model), model.state_dict())
    assert same(patch(name).to_original(model.state_dict(), model), original)


@linears_by_type
def test_all_linear_trains_where_it_crashed(name: str) -> None:
    crashing = get_peft_model(make(name), LoraConfig(target_modules="all-linear"))
    with pytest.raises(AttributeError, match="'tuple' object has no attribute"):
        crashing(IDS)
    model = get_peft_model(patch(name).unwrap(make(name)), LoraConfig(target_modules="all-linear"))
    model(IDS, labels=IDS).loss.backward()
    assert all(parameter.grad is not None for key, parameter in model.named_parameters() if "linear.lora_B" in key)
    assert any("router.linear.lora_B" in key for key, _ in model.named_parameters())
    without = LoraConfig(target_modules="all-linear", exclude_modules=["router.linear"])
    model = get_peft_model(patch(name).unwrap(make(name)), without)
    assert not any("router" in key and "lora" in key for key, _ in model.named_parameters())


def test_grouped_linears_are_passed_by() -> None:
    crashing = get_peft_model(make("deepseek_v4"), LoraConfig(target_modules=["o_a_proj"]))
    with pytest.raises(RuntimeError):
        crashing(IDS)
    model = patch("deepseek_v4").unwrap(make("deepseek_v4"))
    grouped = model.model.layers[0].self_attn.o_a_proj
    assert not isinstance(grouped, nn.Linear)
    with pytest.raises(ValueError, match="is not supported"):
        get_peft_model(copy.deepcopy(model), LoraConfig(target_modules=["o_a_proj"]))
    targets = [path for path, module in model.named_modules() if isinstance(module, nn.Linear) and path != "lm_head"]
    assert not any(path.endswith("o_a_proj") for path in targets)
    tuned = get_peft_model(model, LoraConfig(target_modules="all-linear"))
    assert not any("o_a_proj" in path for path in tuned.targeted_module_names)
    tuned(IDS, labels=IDS).loss.backward()


@linears_by_type
def test_a_shielded_layer_is_no_linear_and_still_of_its_class(name: str) -> None:
    original = make(name)
    routers = {path: type(module) for path, module in original.named_modules() if path.endswith("router")}
    model = patch(name).unwrap(make(name))
    for path, cls in routers.items():
        assert isinstance(model.get_submodule(path), cls)
        assert not isinstance(model.get_submodule(path), nn.Linear)
        assert type(model.get_submodule(path)).__name__ == cls.__name__


def test_router_logits_are_recorded_as_before() -> None:
    with torch.no_grad():
        before = make("phimoe")(IDS, output_router_logits=True).router_logits
        after = patch("phimoe").unwrap(make("phimoe"))(IDS, output_router_logits=True).router_logits
    assert len(before) == len(after) == 2
    assert all(map(torch.equal, before, after))


@every_type
def test_what_was_trained_is_what_is_put_back(name: str) -> None:
    tuned = adapted(patch(name).unwrap(make(name))).eval()
    trained = logits(tuned)
    assert not torch.equal(logits(make(name)), trained)
    merged = tuned.merge_and_unload()
    before = logits(merged)
    patch(name).rewrap(merged)
    assert torch.equal(before, logits(merged))
    torch.testing.assert_close(before, trained, atol=1e-4, rtol=1e-4)
    assert merged.state_dict().keys() == make(name).state_dict().keys()


@every_type
def test_a_lora_of_the_linears_is_one_for_the_original(name: str) -> None:
    tuned = adapted(patch(name).unwrap(make(name))).eval()
    state = get_peft_model_state_dict(tuned)
    converted = patch(name).to_original(state, tuned)
    config = patch(name).original_config(tuned.peft_config["default"].to_dict(), state, tuned)
    original = get_peft_model(make(name), LoraConfig(**config)).eval()
    assert not set_peft_model_state_dict(original, converted).unexpected_keys
    torch.testing.assert_close(logits(original), logits(tuned), atol=1e-4, rtol=1e-4)
    assert same(patch(name).to_unwrapped(converted, original), state)


def test_models_that_do_not_fit_are_refused() -> None:
    unwrap, rewrap = patch("phimoe").unwrap, patch("phimoe").rewrap
    with pytest.raises(ValueError, match="Linear has no PhimoeTopKRouter"):
        unwrap(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="unwrap before adapters are added"):
        unwrap(get_peft_model(make("phimoe"), LoraConfig(target_modules=["router"])))
    odd = make("phimoe")
    odd.model.layers[1].mlp.router.linear = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"layers\.1\.mlp\.router has a linear of its own"):
        unwrap(odd)
    assert isinstance(odd.model.layers[0].mlp.router, nn.Linear)  # nothing was changed
    tuned = adapted(unwrap(make("phimoe")))
    with pytest.raises(ValueError, match=r"router\.linear carries an adapter"):
        rewrap(tuned)
    rewrap(tuned.unload())
    assert same(tuned.base_model.model.state_dict(), make("phimoe").state_dict())


class Chooser(nn.Linear):
    """Gives a tuple, from a product that is written out."""

    def forward(self, hidden: Tensor) -> Any:
        scores = hidden @ self.weight.T
        return scores, scores.topk(2, dim=-1).indices


class Normed(nn.Linear):
    """Does something else with its weight than to multiply by it."""

    def forward(self, hidden: Tensor) -> Any:
        scores = nn.functional.linear(hidden, nn.functional.normalize(self.weight, dim=-1))
        return scores, scores.argmax(-1)


class Doubled(nn.Linear):
    """Is as good as a linear."""

    def forward(self, hidden: Tensor) -> Any:
        return 2 * super().forward(hidden)


class Held(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden: Tensor) -> Any:
        return self.layer(hidden)


def test_a_product_that_is_written_out_gets_a_linear() -> None:
    (option,) = found(Held(Chooser(16, 4, bias=False)))
    assert option.operation.effect is not None
    assert option.operation.effect.forward.safety is Safety.EXACT
    assert option.constants["LAYERS"][0] == {"Chooser": True}


def test_what_is_no_product_is_only_shielded() -> None:
    (option,) = found(Held(Normed(16, 4)))
    assert option.operation.effect is not None
    assert option.constants["LAYERS"][0] == {"Normed": False}
    assert any("no longer" in note for note in option.notes)


def test_what_lora_fits_is_left_alone() -> None:
    assert found(Held(Doubled(16, 4))) == []
    assert found(Held(nn.Linear(16, 4))) == []


@pytest.mark.parametrize("bias", [True, False])
def test_parameters_stay_the_objects_that_they_are(bias: bool) -> None:
    (option,) = found(Held(Chooser(16, 4, bias=False)))
    module = written([option], ModelInfo("", "", "Held", "", 0, 0), {"torch": torch.__version__}).module
    model = Held(Chooser(16, 4, bias=bias))
    weight, parameters = model.layer.weight, dict(model.layer._parameters)
    module.unwrap(model.to(torch.float64).train())
    assert model.layer.linear.weight is weight
    assert model.layer.linear.training
    module.rewrap(model)
    assert list(model.layer._parameters) == list(parameters)
    assert all(model.layer._parameters[key] is value for key, value in parameters.items())


def test_an_adapter_of_all_that_peft_finds_converts_with_the_experts_that_it_has() -> None:
    """PEFT makes parameters of experts, and ranks for them, of ``all-linear``."""
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("mixtral", **SIZES, **TYPES["mixtral"])).eval()
    original = copy.deepcopy(model)
    file: dict[str, Any] = {}
    exec(archlint.patch(model, way="shield"), file)
    file["unwrap"](model)
    adapted = get_peft_model(model, LoraConfig(target_modules="all-linear", init_lora_weights=False)).eval()
    state = get_peft_model_state_dict(adapted)

    config = file["original_config"](adapted.peft_config["default"].to_dict(), state, model)
    known = {name: value for name, value in config.items() if name in LoraConfig.__dataclass_fields__}
    other = get_peft_model(original, LoraConfig(**known)).eval()
    left: Any = set_peft_model_state_dict(other, file["to_original"](state, model))

    assert left.unexpected_keys == []
    assert torch.allclose(other(IDS).logits, adapted(IDS).logits, atol=1e-5)
