"""What is read from the text of a class."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archlint.survey.source_code import class_code


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
        (Helped, {"qk"}),
        (Batched, set()),
        (Reassigned, {"up"}),
    ],
)
def test_whose_output_is_taken_apart(cls: type, children: set[str]) -> None:
    assert class_code(cls).split_children == children
