"""Patches for wrapped linears: each label is held to what the patched module computes."""

from __future__ import annotations

import copy
import json
import math
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import archlint
from archlint.core.blueprint import Operation
from archlint.core.safety import Safety
from archlint.core.surgery import Way
from archlint.surgery.patch import Patch

WIDTH = 16
HIDDEN = torch.randn(2, WIDTH, WIDTH, generator=torch.Generator().manual_seed(1))


class Plain(nn.Module):
    """Hands its input on."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden)


class Placed(Plain):
    """Takes a position that it does not need."""

    def forward(self, hidden: Tensor, position: int | None = None) -> Tensor:
        return self.linear(hidden)


class Clamped(Plain):
    """Has limits of its own, which a checkpoint fills in."""

    def __init__(self) -> None:
        super().__init__()
        self.lowest = nn.Buffer(torch.tensor(-math.inf))
        self.highest = nn.Buffer(torch.tensor(math.inf))
        self.register_buffer("seen", torch.tensor(0.0), persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.clamp(self.linear(hidden), self.lowest, self.highest)


class Switched(Clamped):
    """Has limits that are off."""

    def __init__(self) -> None:
        super().__init__()
        self.clamps = False

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.linear(hidden)
        return torch.clamp(hidden, self.lowest, self.highest) if self.clamps else hidden


class Bounded(Plain):
    """Has limits that random inputs seldom reach."""

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden.clamp(-40, 40))


class Guarded(Plain):
    """Keeps its outputs within the range of float16."""

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden).clamp(-65504, 65504)


class Rooted(Plain):
    """Gives NaN for half of its outputs."""

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden).sqrt()


class Scaled(Plain):
    """Makes its output smaller."""

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden) * 0.5


class Turned(Plain):
    """Takes channels first."""

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden.transpose(1, 2)).transpose(1, 2)


class Dropped(Plain):
    """Drops some outputs in training."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.dropout(self.linear(hidden))


class Swapped(Plain):
    """Gives the halves of its output the other way round."""

    def forward(self, hidden: Tensor) -> Tensor:
        first, second = self.linear(hidden).chunk(2, -1)
        return torch.cat([second, first], -1)


class Gained(Plain):
    """Multiplies by a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden) * self.gain


class Capped(Plain):
    """Has an activation, under a name of its own, and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, hidden: Tensor) -> Tensor:
        return 3 * torch.tanh(self.linear(self.norm(hidden)) / 3)


class Residual(Plain):
    """Adds its input."""

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.linear(hidden)


class Twice(Plain):
    """Calls its linear twice."""

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(self.linear(hidden))


class Cast(Plain):
    """Computes in single precision, which shows in half precision only."""

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden).float().mul(1.001).to(hidden.dtype)


class Two(Plain):
    """Is no wrapper of one linear."""

    def __init__(self) -> None:
        super().__init__()
        self.second = nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.second(self.linear(hidden))


class Model(nn.Module):
    """Layers with a wrapper each, and a plain linear."""

    def __init__(self, wrapper: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleDict({"q_proj": wrapper(), "o_proj": nn.Linear(WIDTH, WIDTH)}) for _ in range(2)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        for layer in self.layers:
            hidden = hidden + layer["o_proj"](layer["q_proj"](hidden))
        return hidden


LABELS = {
    Plain: {Way.INNER: "exact", Way.UNWRAP: "exact", Way.KEEP: "exact", Way.REGISTER: "exact"},
    Placed: {Way.INNER: "exact", Way.UNWRAP: "exact", Way.KEEP: "exact", Way.REGISTER: "exact"},
    Switched: {Way.INNER: "exact", Way.UNWRAP: "exact", Way.KEEP: "exact", Way.REGISTER: "exact"},
    Clamped: {Way.INNER: "exact", Way.UNWRAP: "lossy", Way.KEEP: "lossy", Way.REGISTER: "exact"},
    Bounded: {Way.INNER: "exact", Way.UNWRAP: "lossy", Way.KEEP: "lossy", Way.REGISTER: "exact"},
    Guarded: {Way.INNER: "exact", Way.UNWRAP: "lossy", Way.KEEP: "lossy", Way.REGISTER: "exact"},
    Scaled: {Way.INNER: "exact", Way.UNWRAP: "lossy", Way.KEEP: "lossy", Way.REGISTER: "exact"},
    Turned: {Way.INNER: "exact", Way.UNWRAP: "exact", Way.KEEP: "exact", Way.REGISTER: "exact"},
    Dropped: {Way.INNER: "exact", Way.UNWRAP: "lossy", Way.KEEP: "exact", Way.REGISTER: "exact"},
    Swapped: {Way.INNER: "exact", Way.UNWRAP: "lossy", Way.KEEP: "lossy", Way.REGISTER: "exact"},
    Gained: {Way.INNER: "exact", Way.UNWRAP: "lossy", Way.KEEP: "lossy", Way.REGISTER: "exact"},
    Capped: {Way.INNER: "exact", Way.UNWRAP: "lossy", Way.KEEP: "lossy", Way.REGISTER: "exact"},
    Residual: {Way.INNER: "exact", Way.UNWRAP: "lossy", Way.KEEP: "exact", Way.REGISTER: "exact"},
    Twice: {Way.INNER: "exact", Way.UNWRAP: "lossy", Way.KEEP: "lossy", Way.REGISTER: "exact"},
    Cast: {Way.INNER: "exact", Way.UNWRAP: "lossy", Way.KEEP: "lossy", Way.REGISTER: "exact"},
    Two: {},
}
LABELS[Swapped][Way.SPLIT] = "impossible"  # what is cut is given as a whole
LABELS[Turned] |= {Way.UNWRAP: "impossible", Way.KEEP: "impossible"}  # a linear takes channels last
WRAPPERS = [wrapper for wrapper, labels in LABELS.items() if labels]


class Limited(Plain):
    """Has a limit where it is told so, in one of many ways."""

    def __init__(self, limit: object, *, by: str) -> None:
        super().__init__()
        self.limit = limit if by == "number" else 1
        self.config = types.SimpleNamespace(clamps=bool(limit))
        self.by = by
        self.dropout = nn.Dropout(0.5 if by == "child" and limit else 0.0)
        self.register_buffer("bound", torch.tensor(0.1) if limit and by == "buffer" else None)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.dropout(self.linear(hidden))
        if self.by == "config" and self.config.clamps:
            return hidden.clamp(-0.1, 0.1)
        if self.by == "number" and self.limit:
            return hidden.clamp(-0.1, 0.1)
        return hidden if self.bound is None else hidden.clamp(-self.bound, self.bound)


@pytest.mark.parametrize("by", ["number", "config", "buffer", "child"])
@pytest.mark.parametrize("limits", [(0, 1), (1, 0)])
def test_the_worst_wrapper_of_a_class_counts_and_others_are_refused(by: str, limits: tuple[int, int]) -> None:
    given = iter(limits)
    mixed = Model(lambda: Limited(next(given), by=by))
    (unwrap,) = [one for one in archlint.surgeries(mixed) if one.way is Way.UNWRAP]
    assert unwrap.effect is not None
    assert unwrap.effect.safety is Safety.LOSSY

    harmless = Model(lambda: Limited(0, by=by))
    (unwrap,) = [one for one in archlint.surgeries(harmless) if one.way is Way.UNWRAP]
    assert unwrap.effect is not None
    assert unwrap.effect.safety is Safety.EXACT
    patch = Patch(archlint.patch(harmless, way="unwrap"))
    with pytest.raises(ValueError, match="make one for this model"):
        patch.function("unwrap")(Model(lambda: Limited(1, by=by)))  # type: ignore[misc]


@cache
def operations(wrapper: type[nn.Module]) -> dict[Way, Operation]:
    return {operation.way: operation for operation in archlint.surgeries(Model(wrapper))}


def model_of(wrapper: type[nn.Module]) -> Model:
    """With limits that bound something."""
    torch.manual_seed(0)
    model = Model(wrapper)
    for name, buffer in model.named_buffers():
        if name.endswith(("lowest", "highest")):
            buffer.fill_(-0.3 if name.endswith("lowest") else 0.3)
    return model


def hidden_of(wrapper: type[nn.Module]) -> Tensor:
    """Wide enough to pass the limits."""
    return HIDDEN * {Bounded: 1e2, Guarded: 1e6}.get(wrapper, 1)


def patch_of(wrapper: type[nn.Module], way: Way) -> Patch:
    return Patch(archlint.patch(Model(wrapper), way=way.value))


@pytest.mark.parametrize("wrapper", LABELS)
def test_each_way_has_its_label(wrapper: type[nn.Module]) -> None:
    labels = {
        way: "impossible" if operation.effect is None else operation.effect.safety.value
        for way, operation in operations(wrapper).items()
    }

    assert labels == LABELS[wrapper]
    assert all(operation.lack for operation in operations(wrapper).values() if operation.effect is None)


class Frozen(Plain):
    """Trains nothing inside."""

    def forward(self, hidden: Tensor) -> Tensor:
        with torch.no_grad():
            return self.linear(hidden)


def test_where_an_adapter_gets_no_gradient_there_is_no_way() -> None:
    ways = {way for way, operation in operations(Frozen).items() if operation.effect is not None}

    assert ways == {Way.UNWRAP, Way.KEEP}


def test_what_is_no_number_before_and_after_is_no_difference() -> None:
    effects = {way: operation.effect for way, operation in operations(Rooted).items()}

    assert effects[Way.UNWRAP] is not None
    assert effects[Way.UNWRAP].forward.safety is Safety.LOSSY
    assert effects[Way.KEEP] is not None
    assert effects[Way.KEEP].forward.safety is Safety.EXACT
    assert effects[Way.REGISTER] is not None
    assert effects[Way.REGISTER].safety is Safety.EXACT


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("way", [Way.UNWRAP, Way.KEEP])
def test_a_forward_pass_is_what_its_label_says(wrapper: type[nn.Module], way: Way) -> None:
    operation = operations(wrapper)[way]
    if operation.effect is None:
        with pytest.raises(archlint.NoPatchError):
            archlint.patch(Model(wrapper), way=way.value)
        return
    patch, model, hidden = patch_of(wrapper, way), model_of(wrapper), hidden_of(wrapper)
    same = []
    for kind in (torch.float32, torch.bfloat16):
        model.to(kind).eval()
        before = model(hidden.to(kind))
        patch.function("unwrap")(model)  # type: ignore[misc]
        same.append(torch.equal(before, model(hidden.to(kind))))
        patch.function("rewrap")(model)  # type: ignore[misc]

        assert torch.equal(before, model(hidden.to(kind)))
    assert all(same) is (operation.effect.forward.safety is Safety.EXACT)


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("way", [Way.UNWRAP, Way.KEEP, Way.REGISTER])
def test_a_merged_adapter_is_what_its_label_says(wrapper: type[nn.Module], way: Way) -> None:
    operation = operations(wrapper)[way]
    if operation.effect is None:
        return
    patch, model, hidden = patch_of(wrapper, way), model_of(wrapper).eval(), hidden_of(wrapper)
    keys = list(model.state_dict())
    config = LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    if way is Way.REGISTER:
        config = patch.function("register")(config, model)  # type: ignore[misc]
    else:
        patch.function("unwrap")(model)  # type: ignore[misc]
    adapted = get_peft_model(model, config)
    trained = adapted(hidden)
    merged = adapted.merge_and_unload()
    if way is not Way.REGISTER:
        patch.function("rewrap")(merged)  # type: ignore[misc]

    assert list(merged.state_dict()) == keys
    assert torch.allclose(trained, merged(hidden), rtol=1e-4, atol=1e-4) is (
        operation.effect.merged.safety is Safety.EXACT
    )


@pytest.mark.parametrize("way", [Way.UNWRAP, Way.KEEP])
def test_what_a_wrapper_holds_goes_with_its_linear_and_comes_back(way: Way) -> None:
    patch, model = patch_of(Clamped, way), model_of(Clamped)
    unwrap, rewrap = patch.function("unwrap"), patch.function("rewrap")
    assert unwrap is not None
    assert rewrap is not None
    parameters = {id(parameter) for parameter in model.parameters()}
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    unwrap(model)
    assert {id(parameter) for parameter in model.parameters()} == parameters
    assert {name for name in model.state_dict() if "highest" in name} == {name for name in kept if "highest" in name}
    assert not any("seen" in name for name in model.state_dict())
    double = copy.deepcopy(model).double()
    rewrap(double)
    rewrap(model)

    assert {name: tensor.dtype for name, tensor in double.state_dict().items()} == dict.fromkeys(kept, torch.float64)
    assert list(model.state_dict()) == list(kept)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())
    assert dict(model.named_buffers()).keys() - kept.keys() == {"layers.0.q_proj.seen", "layers.1.q_proj.seen"}


def test_unwrapping_twice_does_no_harm_and_a_block_ends_in_the_original() -> None:
    patch, model = patch_of(Plain, Way.UNWRAP), model_of(Plain)
    unwrap, unwrapped = patch.function("unwrap"), patch.function("unwrapped")
    assert unwrap is not None
    assert unwrapped is not None

    with unwrapped(model) as inside:
        assert inside is model
        once = list(model.named_modules())
        assert unwrap(model) is model
        assert list(model.named_modules()) == once
        assert isinstance(model.get_submodule("layers.0.q_proj"), nn.Linear)
    assert isinstance(model.get_submodule("layers.0.q_proj"), Plain)


def test_what_goes_wrong_in_a_block_is_seen() -> None:
    patch, model = patch_of(Plain, Way.UNWRAP), model_of(Plain)
    unwrapped = patch.function("unwrapped")
    assert unwrapped is not None

    def adapt_and_fail() -> None:
        with unwrapped(model):
            get_peft_model(model, LoraConfig(target_modules=["q_proj"]))
            raise KeyError("mine")

    with pytest.raises(KeyError):
        adapt_and_fail()


def test_a_wrapper_that_stands_in_two_places_stays_one() -> None:
    patch, model = patch_of(Plain, Way.UNWRAP), model_of(Plain)
    model.layers[1]["q_proj"] = model.layers[0]["q_proj"]
    before = model(HIDDEN)

    patch.function("unwrap")(model)  # type: ignore[misc]

    assert model.layers[1]["q_proj"] is model.layers[0]["q_proj"]
    assert torch.equal(before, model(HIDDEN))


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (lambda: nn.Sequential(nn.Linear(2, 2)), "has no Switched"),
        (lambda: get_peft_model(Model(Switched), LoraConfig(target_modules=["linear"])), "unwrap before adapters"),
        (lambda: switched_on(), "clamps=True"),
        (lambda: hooked(), "has a forward of its own"),
        (lambda: watched(), "has hooks"),
        (lambda: shared(), "shares its linear"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_and_left_as_it_is(model: Callable[[], nn.Module], told: str) -> None:
    patch, other = patch_of(Switched, Way.UNWRAP), model()
    before = list(other.named_modules())

    with pytest.raises(ValueError, match=told):
        patch.function("unwrap")(other)  # type: ignore[misc]

    assert list(other.named_modules()) == before


def hooked() -> Model:
    """As accelerate leaves a model that it spreads over devices: with hooks around the forward of single modules."""
    model = Model(Switched)
    add_hook_to_module(model.get_submodule("layers.0.q_proj.linear"), AlignDevicesHook("cpu"))
    return model


def watched() -> Model:
    model = Model(Switched)
    model.layers[0]["q_proj"].register_forward_hook(lambda *_: None)
    return model


def shared() -> Model:
    model = Model(Switched)
    model.layers[1]["q_proj"].linear = model.layers[0]["q_proj"].linear
    return model


def switched_on() -> Model:
    model = Model(Switched)
    model.layers[1]["q_proj"].clamps = True
    return model


def test_an_adapter_is_merged_before_wrappers_come_back() -> None:
    patch, model = patch_of(Plain, Way.UNWRAP), model_of(Plain)
    patch.function("unwrap")(model)  # type: ignore[misc]
    adapted = get_peft_model(model, LoraConfig(target_modules=["q_proj"]))

    with pytest.raises(ValueError, match="merge_and_unload"):
        patch.function("rewrap")(adapted)  # type: ignore[misc]


@pytest.mark.parametrize("way", [Way.UNWRAP, Way.KEEP])
def test_state_dicts_and_adapters_load_both_ways(way: Way) -> None:
    patch, original = patch_of(Clamped, way), model_of(Clamped).eval()
    to_original, to_unwrapped = patch.function("to_original"), patch.function("to_unwrapped")
    assert to_original is not None
    assert to_unwrapped is not None
    model = copy.deepcopy(original)
    patch.function("unwrap")(model)  # type: ignore[misc]

    model.load_state_dict(to_unwrapped(original.state_dict(), original))
    back = to_original(model.state_dict(), model)
    assert back.keys() == original.state_dict().keys()
    assert all(torch.equal(tensor, back[name]) for name, tensor in original.state_dict().items())

    adapted = get_peft_model(model, LoraConfig(target_modules=["q_proj", "o_proj"], init_lora_weights=False))
    state = get_peft_model_state_dict(adapted)
    moved = to_original(state, adapted)
    other = get_peft_model(original, LoraConfig(target_modules=r".*\.(q_proj\.linear|o_proj)"))
    assert moved.keys() == get_peft_model_state_dict(other).keys()
    assert to_unwrapped(moved, other).keys() == state.keys()
    assert to_original(moved, other).keys() == moved.keys()


def test_a_saved_adapter_is_one_for_the_original(tmp_path: Path) -> None:
    patch, original = patch_of(Plain, Way.UNWRAP), model_of(Plain).eval()
    model = copy.deepcopy(original)
    patch.function("unwrap")(model)  # type: ignore[misc]
    adapted = get_peft_model(model, LoraConfig(target_modules=["q_proj", "o_proj"], init_lora_weights=False))
    adapted.save_pretrained(tmp_path)

    state = load_file(tmp_path / "adapter_model.safetensors")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    converted = patch.function("original_config")(config, state, original)  # type: ignore[misc]
    (tmp_path / "adapter_config.json").write_text(json.dumps(converted))
    save_file(patch.function("to_original")(state, original), tmp_path / "adapter_model.safetensors")  # type: ignore[misc]

    assert torch.equal(PeftModel.from_pretrained(original, tmp_path)(HIDDEN), adapted(HIDDEN))


def test_a_registered_adapter_is_saved_and_loaded(tmp_path: object) -> None:
    patch, model = patch_of(Clamped, Way.REGISTER), model_of(Clamped).eval()
    register = patch.function("register")
    assert register is not None
    fresh = copy.deepcopy(model)
    config = register(LoraConfig(target_modules=["q_proj"], init_lora_weights=False), model)
    adapted = get_peft_model(model, config)
    adapted.add_adapter("second", register(LoraConfig(target_modules=["q_proj"], r=2), model))
    trained = adapted(HIDDEN)
    adapted.save_pretrained(str(tmp_path), selected_adapters=["default"])

    loaded = register(LoraConfig.from_pretrained(str(tmp_path)), fresh)
    assert torch.equal(PeftModel.from_pretrained(fresh, str(tmp_path), config=loaded)(HIDDEN), trained)
    with pytest.raises(ValueError, match="has no Clamped"):
        register(LoraConfig(), nn.Linear(2, 2))


def test_by_default_the_patch_that_changes_least_is_made() -> None:
    assert "class Unwrapped" in archlint.patch(Model(Plain))
    assert "goes on" not in archlint.patch(Model(Plain))
    assert "the wrapper's own code" in archlint.patch(Model(Clamped))
    with pytest.raises(archlint.NoPatchError, match="nothing"):
        archlint.patch(Model(Two))


def test_targets_inside_need_no_file() -> None:
    with pytest.raises(ValueError, match="needs no patch"):
        archlint.patch(Model(Plain), way="inner")


class Asking(Model):
    """Reads the weight of the linear that its wrapper holds."""

    def forward(self, hidden: Tensor) -> Tensor:
        weight = self.layers[0]["q_proj"].linear.weight  # type: ignore[union-attr]
        return super().forward(hidden.to(weight.dtype))


class Headed(Model):
    """Tells PEFT of the linear that its wrapper holds."""

    def get_output_embeddings(self) -> nn.Module:
        return self.layers[0]["q_proj"].linear  # type: ignore[return-value]


def test_what_asks_a_wrapper_for_its_linear_finds_it() -> None:
    patch, model = patch_of(Plain, Way.UNWRAP), Asking(Plain)
    before = model(HIDDEN)
    patch.function("unwrap")(model)  # type: ignore[misc]

    assert model.layers[0]["q_proj"].linear is model.layers[0]["q_proj"]
    assert torch.equal(before, model(HIDDEN))
    assert "layers.0.q_proj.linear" not in dict(model.named_modules())
    assert not any("linear" in name for name in model.state_dict())


@pytest.mark.parametrize("way", [Way.UNWRAP, Way.KEEP])
def test_a_linear_that_peft_asks_the_wrapper_for_stays_in_it(way: Way) -> None:
    found = {each.way: each for each in archlint.surgeries(Headed(Plain))}

    assert found[way].effect is None
    assert found[way].lack == "PEFT's layer in its place has no linear, which the model asks for"
    assert found[Way.REGISTER].effect is not None


def test_a_weight_that_others_have_too_is_not_merged_exactly() -> None:
    model = Model(Plain)
    model.layers[0]["o_proj"].weight = model.layers[0]["q_proj"].linear.weight
    found = {each.way: each.effect for each in archlint.surgeries(model)}

    for way in (Way.INNER, Way.REGISTER):
        effect = found[way]
        assert effect is not None
        assert effect.forward.safety is Safety.EXACT
        assert effect.merged.safety is Safety.LOSSY


class Open(nn.Module):
    """May be without its linear."""

    def __init__(self, linear: nn.Module | None) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden if self.linear is None else self.linear(hidden)


@pytest.mark.parametrize("other", [None, nn.Identity()])
def test_a_module_of_the_class_that_has_no_linear_is_in_nobodys_way(other: nn.Module | None) -> None:
    given = iter([nn.Linear(WIDTH, WIDTH), other])
    (unwrap,) = [one for one in archlint.surgeries(Model(lambda: Open(next(given)))) if one.way is Way.UNWRAP]
    assert len(unwrap.sites) == 1


class Halved(Plain):
    """Takes a way through half precision, which very wide inputs overflow."""

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden.half().to(hidden.dtype))


def test_inputs_that_are_too_wide_for_a_wrapper_say_nothing_of_it() -> None:
    labels = {way: one.effect.safety.value for way, one in operations(Halved).items() if one.effect is not None}

    assert labels[Way.INNER] == labels[Way.REGISTER] == "exact"
    assert operations(Halved)[Way.KEEP].effect is not None


class Reading(nn.Module):
    """Reads of its projection what a linear with an adapter has, or what only a wrapper has."""

    def __init__(self, asked: str) -> None:
        super().__init__()
        self.q_proj = Plain()
        self.q_proj.in_features = WIDTH
        self.asked = asked
        self.embed = nn.Embedding(4, WIDTH)

    def forward(self, input_ids: Tensor) -> Tensor:
        asked: Any = getattr(self.q_proj, self.asked)
        return self.q_proj(self.embed(input_ids)) * (asked if isinstance(asked, int) else asked.weight.mean())


@pytest.mark.parametrize(("asked", "lacks"), [("in_features", False), ("linear", True)])
def test_what_a_model_asks_a_wrapper_for_decides_whether_it_is_unwrapped(asked: str, lacks: bool) -> None:
    (unwrap,) = [one for one in archlint.surgeries(Reading(asked)) if one.way is Way.UNWRAP]

    assert (unwrap.effect is None) is lacks
    assert ("PEFT's layer in its place has no linear" in unwrap.lack) is lacks


def test_a_wrapper_that_stands_in_two_places_is_changed_in_both_once_merged() -> None:
    shared = Plain()
    found = {one.way: one for one in archlint.surgeries(Model(lambda: shared))}

    for way in (Way.INNER, Way.UNWRAP, Way.KEEP, Way.REGISTER):
        effect = found[way].effect
        assert effect is not None
        assert effect.forward.safety is Safety.EXACT
        assert effect.merged.safety is Safety.LOSSY
    assert "is that of another layer too" in " ".join(archlint.patch(Model(lambda: shared), way="unwrap").split())


class Activated(Plain):
    """Has an activation that may be none."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, hidden: Tensor) -> Tensor:
        return self.activation(self.linear(hidden))


def test_a_wrapper_with_another_layer_around_its_linear_is_refused() -> None:
    patch = Patch(archlint.patch(Model(lambda: Activated(nn.Identity())), way="unwrap"))

    with pytest.raises(ValueError, match="has activation='ReLU', and this patch is for 'Identity'"):
        patch.function("unwrap")(Model(lambda: Activated(nn.ReLU())))  # type: ignore[misc]
