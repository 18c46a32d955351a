"""Stacked experts as linears: real models of transformers, small, with the patch that is written for them."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from archlint.core.blueprint import ModelInfo
from archlint.core.safety import Safety
from archlint.core.surgery import Way
from archlint.proving import Prover
from archlint.skeleton import Skeleton
from archlint.surgery.experts import options
from archlint.surgery.option import Option
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
    "mixtral": {"num_local_experts": 4},
    "qwen3_moe": {"num_experts": 4},
    "gpt_oss": {"num_local_experts": 4},
    "phimoe": {"num_local_experts": 4},
    "llama4_text": {"num_local_experts": 4, "num_experts_per_tok": 1, "interleave_moe_layer_step": 1},
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
    "jetmoe": {"num_local_experts": 4, "kv_channels": 8, "num_key_value_heads": 2},
}
IDS = torch.arange(3, 19).reshape(2, 8)
every_type = pytest.mark.parametrize("name", TYPES)


def make(name: str, dtype: torch.dtype = torch.float32, experts: str | None = None) -> Any:
    return copy.deepcopy(built(name, dtype, experts))


@cache
def built(name: str, dtype: torch.dtype, experts: str | None) -> Any:
    torch.manual_seed(0)
    config = AutoConfig.for_model(name, **{**SIZES, **TYPES[name]})
    chosen = {} if experts is None else {"experts_implementation": experts}
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=dtype, **chosen)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.2)
    return model.eval()


def found(model: nn.Module) -> list[Option]:
    model = without_weights(model)
    blueprint = survey(Skeleton(model), ModelInfo("small", "type", type(model).__name__, "", 0, 0))
    return options(model, blueprint, Prover(model, blueprint))


@cache
def patch(name: str) -> Any:
    made = found(make(name))
    assert [option.operation.lack for option in made] == [""]
    return written(made, ModelInfo(name, "type", "", "", 0, 0), {"torch": torch.__version__}).module


def linears(model: nn.Module) -> dict[str, nn.Linear]:
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) and path.rpartition(".")[2].startswith("expert")
    }


def adapted(model: nn.Module, **lora: Any) -> Any:
    torch.manual_seed(1)
    config = LoraConfig(r=3, lora_alpha=5, target_modules=list(linears(model)), init_lora_weights=False, **lora)
    return get_peft_model(model, config).eval()


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        outputs: Tensor = model(IDS).logits
    return outputs


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@every_type
def test_stacks_of_real_models_become_linears_exactly(name: str) -> None:
    (option,) = found(make(name))
    assert option.operation.way is Way.EXPERTS
    assert option.operation.effect is not None
    assert option.operation.effect.safety is Safety.EXACT
    model = patch(name).unwrap(make(name))
    targets = {target.format(site.path) for site in option.operation.sites for target in option.target.split(",")}
    assert targets == set(linears(model))
    assert all(type(linear) is nn.Linear for linear in linears(model).values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@every_type
def test_an_unwrapped_model_computes_the_same(name: str, dtype: torch.dtype) -> None:
    model = make(name, dtype, None if name in ("llama4_text", "jetmoe") else "eager")
    before, keys = logits(model), model.state_dict()
    with patch(name).unwrapped(model):
        assert torch.equal(before, logits(model))
        assert torch.equal(before, logits(copy.deepcopy(model)))
        modules = list(model.modules())
        assert modules == list(patch(name).unwrap(model).modules())
    assert same(keys, model.state_dict())
    assert torch.equal(before, logits(model))


@every_type
def test_state_dicts_go_both_ways(name: str) -> None:
    model = make(name)
    original = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    patch(name).unwrap(model)
    assert same(patch(name).to_unwrapped(original, model), model.state_dict())
    assert same(patch(name).to_original(model.state_dict(), model), original)
    missing = dict(model.state_dict())
    missing.pop(next(f"{path}.weight" for path in linears(model)))
    with pytest.raises(ValueError, match="has 4 experts, not 3"):
        patch(name).to_original(missing, model)


@every_type
def test_experts_with_tokens_get_gradients(name: str) -> None:
    model = adapted(patch(name).unwrap(make(name)))
    used: set[str] = set()
    for path, layer in model.named_modules():
        if hasattr(layer, "lora_A"):
            layer.register_forward_pre_hook(lambda _, args, path=path: used.add(path) if args[0].any() else None)
    model(IDS, labels=IDS).loss.backward()
    trained = {
        key.partition(".lora_B")[0]
        for key, parameter in model.named_parameters()
        if "lora_B" in key and parameter.grad is not None and parameter.grad.any()
    }
    assert used
    assert trained == used


@every_type
def test_what_was_trained_is_what_is_stacked(name: str) -> None:
    model = make(name)
    before = logits(model)
    tuned = adapted(patch(name).unwrap(model))
    trained = logits(tuned)
    assert not torch.allclose(before, trained, atol=0.1)
    merged = tuned.merge_and_unload()
    unstacked = logits(merged)
    patch(name).rewrap(merged)
    assert torch.equal(unstacked, logits(merged))
    torch.testing.assert_close(logits(merged), trained, atol=1e-4, rtol=1e-4)
    assert merged.state_dict().keys() == make(name).state_dict().keys()


@every_type
def test_a_lora_of_the_linears_is_one_for_the_original(name: str) -> None:
    tuned = adapted(patch(name).unwrap(make(name)))
    state = get_peft_model_state_dict(tuned)
    converted = patch(name).to_original(state, tuned)
    config = patch(name).original_config(tuned.peft_config["default"].to_dict(), state, tuned)
    original = get_peft_model(make(name), LoraConfig(**config)).eval()
    assert not set_peft_model_state_dict(original, converted).unexpected_keys
    torch.testing.assert_close(logits(original), logits(tuned), atol=1e-4, rtol=1e-4)
    assert same(patch(name).to_unwrapped(converted, original), state)


def test_a_lora_of_some_experts_leaves_the_others_as_they_are() -> None:
    tuned = adapted(patch("gpt_oss").unwrap(make("gpt_oss")))
    state = {key: tensor for key, tensor in get_peft_model_state_dict(tuned).items() if "down_proj.expert2" in key}
    converted = patch("gpt_oss").to_original(state, tuned)
    assert {key.rpartition(".lora_")[0].rpartition(".")[2] for key in converted} == {"experts"}
    original = get_peft_model(make("gpt_oss"), LoraConfig(r=3, target_parameters=["experts.down_proj"]))
    assert not set_peft_model_state_dict(original, converted).unexpected_keys
    before = make("gpt_oss").model.layers[0].mlp.experts.down_proj
    after = original.merge_and_unload().model.layers[0].mlp.experts.down_proj
    assert [torch.equal(one, other) for one, other in zip(before, after, strict=True)] == [True, True, False, True]


def test_only_plain_loras_of_one_rank_are_converted() -> None:
    model = patch("mixtral").unwrap(make("mixtral"))
    path = "base_model.model.model.layers.0.mlp.experts.down_proj"
    with pytest.raises(ValueError, match="lora_magnitude_vector"):
        patch("mixtral").to_original({f"{path}.expert0.lora_magnitude_vector": torch.ones(32)}, model)
    ranks = {f"{path}.expert{index}.lora_A.weight": torch.ones(rank, 48) for index, rank in enumerate((2, 3))}
    with pytest.raises(ValueError, match="several ranks"):
        patch("mixtral").to_original(ranks, model)
    with pytest.raises(ValueError, match="not for all of its stacks"):
        patch("mixtral").to_unwrapped({f"{path.rpartition('.')[0]}.lora_A.weight": torch.ones(8, 48)}, model)


def test_no_weight_is_copied() -> None:
    model = make("gpt_oss")
    places = {key: tensor.data_ptr() for key, tensor in model.state_dict().items()}
    patch("gpt_oss").unwrap(model)
    stack = model.model.layers[1].mlp.experts.down_proj
    assert stack.expert0.weight.data_ptr() == places["model.layers.1.mlp.experts.down_proj"]
    patch("gpt_oss").rewrap(model)
    assert places == {key: tensor.data_ptr() for key, tensor in model.state_dict().items()}


def test_weights_that_were_cast_are_stacked_again() -> None:
    model = patch("gpt_oss").unwrap(make("gpt_oss"))
    patch("gpt_oss").rewrap(model.to(torch.bfloat16))
    assert same(model.state_dict(), make("gpt_oss").to(torch.bfloat16).state_dict())


def test_weights_that_a_safe_merge_has_replaced_are_stacked_again() -> None:
    tuned = adapted(patch("gpt_oss").unwrap(make("gpt_oss")))
    trained = logits(tuned)
    merged = patch("gpt_oss").rewrap(tuned.merge_and_unload(safe_merge=True))
    torch.testing.assert_close(logits(merged), trained, atol=1e-4, rtol=1e-4)


def test_a_tuned_model_goes_on_when_it_is_cast() -> None:
    tuned = adapted(patch("mixtral").unwrap(make("mixtral"))).to(torch.bfloat16)
    tuned(IDS, labels=IDS).loss.backward()
    merged = patch("mixtral").rewrap(tuned.merge_and_unload())
    assert merged.model.layers[0].mlp.experts.down_proj.dtype is torch.bfloat16


def test_frozen_experts_stay_frozen() -> None:
    model = make("mixtral").requires_grad_(False)
    patch("mixtral").unwrap(model)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    patch("mixtral").rewrap(model)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_transformers_is_told_to_compute_experts_one_by_one_and_told_back() -> None:
    model = make("mixtral", experts="grouped_mm")
    before = logits(model)
    with patch("mixtral").unwrapped(model):
        assert model.config._experts_implementation == "eager"
        torch.testing.assert_close(logits(model), before, atol=1e-5, rtol=1e-5)
    assert model.config._experts_implementation == "grouped_mm"


@pytest.mark.parametrize("name", ["mixtral", "qwen3_moe", "deepseek_v3"])
def test_all_linear_reaches_the_experts_and_nothing_by_their_number(name: str) -> None:
    model = patch(name).unwrap(make(name))
    wanted = set(linears(model))
    tuned = get_peft_model(model, LoraConfig(target_modules="all-linear"))
    assert wanted <= set(tuned.targeted_module_names)
    tuned(IDS, labels=IDS).loss.backward()


def test_models_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="Linear has no MixtralExperts"):
        patch("mixtral").unwrap(nn.Linear(2, 2))
    odd = make("mixtral")
    odd.model.layers[1].mlp.experts.down_proj = nn.Parameter(torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"layers\.1\.mlp\.experts has no parameter down_proj of three dimensions"):
        patch("mixtral").unwrap(odd)
    assert isinstance(odd.model.layers[0].mlp.experts.down_proj, nn.Parameter)  # nothing was changed
    stacked = get_peft_model(make("mixtral"), LoraConfig(target_parameters=["experts.down_proj"]))
    with pytest.raises(ValueError, match="carries an adapter"):
        patch("mixtral").unwrap(stacked)


def test_adapters_are_to_be_merged_before_rewrap() -> None:
    tuned = adapted(patch("mixtral").unwrap(make("mixtral")))
    with pytest.raises(ValueError, match="carries an adapter"):
        patch("mixtral").rewrap(tuned)
    patch("mixtral").rewrap(tuned.unload())
    assert same(tuned.base_model.model.state_dict(), make("mixtral").state_dict())


class HandMadeConfig(PretrainedConfig):
    model_type = "hand_made_experts"

    def __init__(self, how: str = "", num_experts: int = 4, hidden_size: int = 16, **others: Any) -> None:
        self.how, self.num_experts, self.hidden_size, self.vocab_size = how, num_experts, hidden_size, 32
        super().__init__(**others)


class HandMadeExperts(nn.Module):
    def __init__(self, config: HandMadeConfig) -> None:
        super().__init__()
        self.how = config.how
        self.stack = nn.Parameter(torch.randn(config.num_experts, config.hidden_size, config.hidden_size))
        self.bias = nn.Parameter(torch.randn(config.num_experts, config.hidden_size))

    def forward(self, hidden: Tensor, chosen: Tensor) -> Tensor:
        count = len(self.bias)
        if self.how == "linear with bias":
            every = [nn.functional.linear(hidden, self.stack[i], self.bias[i]) for i in range(count)]
        elif self.how == "mm of the transpose":
            every = [torch.mm(hidden, self.stack[i].t()) for i in range(count)]
        elif self.how == "bmm":
            every = list(torch.bmm(hidden.expand(count, -1, -1), self.stack))
        elif self.how == "bmm of transposes":
            every = list(torch.bmm(hidden.expand(count, -1, -1), self.stack.transpose(1, 2)))
        elif self.how == "einsum":
            every = list(torch.einsum("th,eoh->eto", hidden, self.stack))
        else:
            every = [hidden * self.stack[i].sum() for i in range(count)]
        return sum(outputs * (chosen == i)[:, None] for i, outputs in enumerate(every))  # type: ignore[return-value]


class HandMade(PreTrainedModel):
    config_class = HandMadeConfig

    def __init__(self, config: HandMadeConfig) -> None:
        super().__init__(config)
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.router = nn.Linear(config.hidden_size, config.num_experts)
        self.experts = HandMadeExperts(config)
        self.post_init()

    def forward(self, input_ids: Tensor) -> Tensor:
        hidden = self.embed(input_ids).flatten(0, 1)
        outputs: Tensor = self.experts(hidden, self.router(hidden).topk(1).indices[:, 0])
        return outputs


@pytest.mark.parametrize(
    ("how", "lie"),
    [
        ("linear with bias", "out, in"),
        ("mm of the transpose", "out, in"),
        ("bmm", "in, out"),
        ("bmm of transposes", "out, in"),
    ],
)
def test_how_matrices_lie_is_told_by_what_multiplies(how: str, lie: str) -> None:
    (option,) = found(HandMade(HandMadeConfig(how)))
    assert option.operation.lack == ""
    assert option.operation.effect is not None
    assert option.operation.effect.safety is Safety.EXACT
    assert option.constants["STACKS"][0] == {"HandMadeExperts": {"stack": lie}}


@pytest.mark.parametrize("how", ["einsum", "something else"])
def test_code_that_does_not_multiply_expert_by_expert_is_left_alone(how: str) -> None:
    (option,) = found(HandMade(HandMadeConfig(how)))
    assert option.operation.effect is None
    assert option.operation.lack
    assert not option.templates
