"""Where experts are, by structure alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archlint.fixtures.toys import experts as toys
from archlint.survey.experts import find_experts


@pytest.mark.parametrize(
    ("toy", "routers", "gates"),
    [
        (toys.TopKMoe, {"mlp.gate"}, set()),
        (toys.LinearRouter, {"mlp.gate"}, set()),
        (toys.WithSharedExpert, {"mlp.gate"}, {"mlp.shared_expert_gate"}),
        (toys.Dense, set(), set()),
    ],
)
def test_routers_gates_and_stores(toy: type[nn.Module], routers: set[str], gates: set[str]) -> None:
    found = find_experts(toy())
    assert found.routers == {f"layers.{layer}.{path}" for layer in "01" for path in routers}
    assert found.gates == {f"layers.{layer}.{path}" for layer in "01" for path in gates}
    assert set(found.stores) == ({f"layers.{layer}.mlp.experts" for layer in "01"} if routers else set())
    assert found.blocks == ({f"layers.{layer}.mlp" for layer in "01"} if routers else set())


class Convolved(nn.Module):
    """A convolution beside a linear with as many outputs: its weight has three dimensions too."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.ModuleDict({"conv": nn.Conv1d(8, 8, 3), "proj": nn.Linear(8, 8)})


def test_a_convolution_is_no_stack_of_experts() -> None:
    assert find_experts(Convolved()).stores == {}


class Router(nn.Module):
    """Picks the experts with a linear inside; one more output than there are experts does nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(8, 6)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.classifier(hidden).topk(2).indices  # type: ignore[no-any-return]


class Stacked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.zeros(5, 16, 8))


def test_a_linear_in_what_picks_the_experts_is_the_router() -> None:
    model = nn.ModuleDict({"mlp": nn.ModuleDict({"router": Router(), "other": nn.Linear(8, 6), "experts": Stacked()})})
    assert find_experts(model).routers == {"mlp.router.classifier"}
