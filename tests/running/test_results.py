"""A result that is looked up is what torch would have given, and nothing else is looked up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archlint.running import results
from archlint.running.on_meta import runnable
from archlint.running.results import result_of

aten = torch.ops.aten


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_known", {})


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def metadata(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device, value.storage_offset(), value.layout
    return [metadata(part) for part in value] if isinstance(value, (list, tuple)) else value


class Counting:
    """An operation that counts how often torch runs it."""

    def __init__(self, func: Any) -> None:
        self.func, self.times = func, 0
        self._schema, self.tags = func._schema, func.tags

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.times += 1
        return self.func(*args, **kwargs)


ALIKE: dict[str, tuple[Any, Callable[[], Iterator[tuple[Any, ...]]]]] = {
    "numbers of other types": (aten.mul.Tensor, lambda: ((meta(2, dtype=torch.long), n) for n in (1, 1.0, True, 1j))),
    "other dtypes": (aten.add.Tensor, lambda: ((meta(2), meta(2, dtype=d)) for d in (torch.float32, torch.float64))),
    "other shapes": (aten.add.Tensor, lambda: ((meta(2, 1), meta(*shape)) for shape in ((2, 3), (3,), (1,), ()))),
    "other strides": (aten.clone.default, lambda: ((x,) for x in (meta(2, 3), meta(3, 2).T, meta(4, 3)[::2]))),
    "other dimensions": (aten.sum.dim_IntList, lambda: ((meta(2, 3), dims) for dims in ([0], [1], [0, 1], [-1]))),
    "flags": (aten.sum.dim_IntList, lambda: ((meta(2, 3), [1], keep) for keep in (False, True))),
    "other lists": (aten.cat.default, lambda: (([meta(2, 3)] * n, dim) for n in (1, 2, 3) for dim in (0, 1))),
    "numbers and lists of one": (aten.mean.dim, lambda: ((meta(2, 3), dims) for dims in ([0], [1], None))),
    "several results": (aten.native_layer_norm.default, lambda: ((meta(n, 3), [3], None, None, 1e-5) for n in (2, 4))),
    "results that are not asked for": (
        aten.native_layer_norm_backward.default,
        lambda: (
            (meta(2, 3), meta(2, 3), [3], meta(2, 1), meta(2, 1), meta(3), meta(3), [True, *asked])
            for asked in ((True, True), (True, False), (False, False))
        ),
    ),
    "parameters": (aten.mm.default, lambda: ((meta(2, 3), nn.Parameter(meta(3, n))) for n in (4, 5))),
}


@pytest.mark.parametrize("name", ALIKE)
def test_each_call_gives_what_torch_gives_and_the_second_time_torch_is_not_asked(name: str) -> None:
    func, calls = ALIKE[name]
    counting = Counting(func)
    expected = [metadata(func(*args)) for args in calls()]
    assert [metadata(result_of(counting, args, {})) for args in calls()] == expected
    asked = counting.times
    assert [metadata(result_of(counting, args, {})) for args in calls()] == expected
    assert counting.times == asked


def test_named_arguments_count() -> None:
    dtypes = (torch.float32, torch.float64, torch.long)
    given = [result_of(aten._to_copy.default, (meta(2),), {"dtype": dtype}).dtype for dtype in (*dtypes, *dtypes)]
    assert given == [*dtypes, *dtypes]
    to_cpu = {"device": torch.device("cpu")}
    with pytest.raises(NotImplementedError, match="meta tensor"):
        result_of(aten._to_copy.default, (meta(2),), to_cpu)


def test_the_default_dtype_counts() -> None:
    given = []
    for dtype in (torch.float32, torch.float64, torch.float32):
        torch.set_default_dtype(dtype)
        try:
            given.append(result_of(aten.div.Tensor, (meta(2, dtype=torch.long), 2), {}).dtype)
        finally:
            torch.set_default_dtype(torch.float32)
    assert given == [torch.float32, torch.float64, torch.float32]


VIEWS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "a view": (aten.view.default, ([6],)),
    "a view that is not said to be one": (aten._unsafe_view.default, ([6],)),
    "parts": (aten.split.Tensor, (1,)),
    "parts that are not said to be views": (aten.unsafe_split.Tensor, (1,)),
    "the argument": (aten.detach.default, ()),
}


@pytest.mark.parametrize("name", VIEWS)
def test_what_shares_memory_with_an_argument_does_so_each_time(name: str) -> None:
    func, rest = VIEWS[name]
    for _ in range(2):
        whole = meta(2, 3)
        found = result_of(func, (whole, *rest), {})
        for part in [found] if isinstance(found, Tensor) else found:
            assert part.untyped_storage()._cdata == whole.untyped_storage()._cdata


def test_new_results_share_no_memory() -> None:
    args = meta(2, 3), meta(2, 3)
    found = [result_of(aten.add.Tensor, args, {}) for _ in range(3)]
    assert len({tensor.untyped_storage()._cdata for tensor in (*args, *found)}) == 5


def test_what_writes_to_its_argument_gives_it_back() -> None:
    for _ in range(2):
        tensor = meta(2)
        assert result_of(aten.add_.Tensor, (tensor, 1), {}) is tensor


@pytest.mark.parametrize(
    ("func", "args", "error"),
    [
        (aten.mm.default, (meta(2, 3), meta(2, 3)), RuntimeError),
        (aten.nonzero.default, (meta(2),), NotImplementedError),
    ],
)
def test_what_raises_raises_each_time(func: Any, args: tuple[Any, ...], error: type[Exception]) -> None:
    for _ in range(2):
        with pytest.raises(error):
            result_of(func, args, {})


def test_real_tensors_are_computed_with() -> None:
    for number in (1.0, 2.0):
        assert result_of(aten.add.Tensor, (torch.tensor([number]), 1), {}).tolist() == [number + 1]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_MOST", 3)
    for size in range(10):
        assert result_of(aten.neg.default, (meta(size),), {}).shape == (size,)
    assert len(results._known) <= 3


def test_gradients_flow_through_results_that_are_looked_up() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)).to("meta")
    with runnable(model):
        for _ in range(2):
            with torch.no_grad():
                assert not model(meta(5, 3)).requires_grad
            model(meta(5, 3)).sum().backward()
            assert all(p.grad is not None and metadata(p.grad) == metadata(p) for p in model.parameters())
            model.zero_grad()
            model[0].requires_grad_(False)
            model(meta(5, 3)).sum().backward()
            assert model[0].weight.grad is None
            model.zero_grad()
            model.requires_grad_()


def test_content_is_kept_beside_results_that_are_looked_up() -> None:
    with runnable(nn.Linear(1, 1, device="meta")):
        for number in (3, 4):  # the same operations on the same shapes
            one, other = torch.full((2,), number), torch.full((2,), number)
            one += 1
            assert (one.tolist(), other.tolist()) == ([number + 1] * 2, [number] * 2)
            assert (other * other).tolist() == [number**2] * 2
            assert bool((meta(2) * other > 0).all())  # of no known content, and so true
