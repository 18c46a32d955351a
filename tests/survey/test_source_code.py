"""What is read from the text of a class."""

from __future__ import annotations

import ast
import re
from importlib import import_module

import pytest
import torch
from torch import nn

from archlint.survey import source_code
from archlint.survey.source_code import ClassCode, bypassed_children, class_code


class Chunked(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(gate * up)


class Scaled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        projected = self.in_proj(x)
        projected = projected * self.scale
        left, right = torch.split(projected, [4, 4], 2)
        return left + right


class Unbound(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.qkv(x).reshape(3, 4, 5).permute(1, 0, 2).unbind(0)
        return query + key + value


class Sliced(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = self.kv(x)
        return both[..., :4] + both[..., 4:]


class SlicedByGroup(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fused = self.qkv(x)
        fused = fused.view(2, 3, -1, 4, 8)
        return fused[..., : self.groups, :].sum() + fused[..., -1, :].sum()


class Shifted(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.lm_head(x)
        return logits[..., :-1, :].sum() + logits[..., 1:, :].sum()


class Indexed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        qkv = self.qkv(x).reshape(2, 3, 3, 4).permute(2, 0, 1, 3)
        query, key, value = qkv[0], qkv[1], qkv[2]
        return query + key + value


class TakesOne(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.score(x)
        size = self.proj(x).size()
        return first[0].view(size[0], size[1])


class Helped(nn.Module):
    def _heads(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fused = self.qk(x)
        query, key = self._heads(fused)
        return query + key


class Batched(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        images = torch.split(self.projector(x), [1, 2])
        more = self.merger(x).split([1, 2], dim=0)
        return images[0] + more[0]


class Reassigned(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.up(x)
        gate, x = x.chunk(2, dim=-1)
        x = self.down(gate * x)
        return x + gate


@pytest.mark.parametrize(
    ("cls", "children"),
    [
        (Chunked, {"gate_up"}),
        (Scaled, {"in_proj"}),
        (Unbound, {"qkv"}),
        (Sliced, {"kv"}),
        (SlicedByGroup, {"qkv"}),
        (Shifted, set()),
        (Indexed, {"qkv"}),
        (TakesOne, set()),
        (Helped, {"qk"}),
        (Batched, set()),
        (Reassigned, {"up"}),
    ],
)
def test_whose_output_is_taken_apart(cls: type, children: set[str]) -> None:
    assert class_code(cls).split_children == children


class Bypasses(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.proj.weight.to(x.dtype), self.proj.bias)


class CallsInAnotherMethod(Bypasses):
    def slow(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(x)  # type: ignore[no-any-return]


class AsksForTheType(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.to(self.proj.weight.dtype).view(self.proj.weight.size(0))


class HandsOn(Bypasses):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.utils.checkpoint.checkpoint(self.proj, x @ self.proj.weight)  # type: ignore[no-any-return]


class Ties(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj, self.other = nn.Linear(2, 2), nn.Linear(2, 2)
        self.other.weight = self.proj.weight

    def reset(self) -> None:
        self.proj.weight = nn.Parameter(torch.zeros(2, 2))


class Spelt(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # fmt: off
        weight = (self  # the block
            .proj)\
            .  weight
        # fmt: on
        return x @ weight  # type: ignore[no-any-return]


class Inherits(Bypasses):
    pass


@pytest.mark.parametrize(
    ("cls", "children"),
    [
        (Bypasses, {"proj"}),
        (Inherits, {"proj"}),
        (Spelt, {"proj"}),
        (CallsInAnotherMethod, set()),
        (AsksForTheType, set()),
        (HandsOn, set()),
        (Ties, set()),
        (nn.MultiheadAttention, set()),
    ],
)
def test_whose_weight_is_read_though_it_is_never_called(cls: type, children: set[str]) -> None:
    assert bypassed_children(cls) == children


@pytest.mark.parametrize("model_type", ["llama", "gpt_neox", "jamba", "mamba2", "zamba2", "gemma3n", "longcat_flash"])
def test_no_weight_is_missed_where_the_text_is_not_parsed(model_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    modeling = import_module(f"transformers.models.{model_type}.modeling_{model_type}")
    classes = [found for found in vars(modeling).values() if isinstance(found, type) and issubclass(found, nn.Module)]
    told = [code_of(cls) for cls in classes]
    monkeypatch.setattr(source_code, "_WEIGHT_OF_CHILD", re.compile(""))
    assert told == [code_of(cls) for cls in classes]


def code_of(cls: type) -> tuple[frozenset[str], object]:
    code = class_code(cls)
    fresh = ClassCode(code.file, code.line, code.text)
    return fresh.weights_read, fresh.weights_handed


def test_a_long_base_without_such_a_weight_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import LlamaForCausalLM

    source_code._read.cache_clear()
    parsed: list[str] = []
    parse = ast.parse
    monkeypatch.setattr(source_code.ast, "parse", lambda text: parsed.append(text) or parse(text))
    assert bypassed_children(LlamaForCausalLM) == frozenset()
    assert parsed == []
