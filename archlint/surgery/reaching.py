"""Whether a model's code reaches into its wrappers: what PEFT puts in a wrapper's place can be called and has a weight.

Anything else that the code asks a wrapper for, such as its linear, is not there once an adapter is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from archlint.running import restored

_ASKED_BY_PEFT = ("get_input_embeddings", "get_output_embeddings")


class _NotThereError(AttributeError):
    """Something asks for an attribute that PEFT's layer would not have."""


class _Closed(nn.Module):
    """A wrapper as the model sees it once a linear with an adapter stands in its place."""

    def __init__(self, wrapper: nn.Module, linear: nn.Linear) -> None:
        super().__init__()
        self.base_layer = wrapper
        self._linear = linear._parameters.get

        self.in_features, self.out_features = linear.in_features, linear.out_features

    @property
    def weight(self) -> Tensor | None:
        """That of the linear."""
        return self._linear("weight")

    @property
    def bias(self) -> Tensor | None:
        """That of the linear."""
        return self._linear("bias")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the wrapper gives."""
        return self.base_layer(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """What there is, or an error that tells what there is not."""
        try:
            return super().__getattr__(name)
        except AttributeError as error:
            raise _NotThereError(f"PEFT's layer in its place has no {name}, which the model asks for") from error


def reached(
    model: nn.Module, inner: Mapping[nn.Module, nn.Linear], asks: Sequence[Callable[[], object]]
) -> dict[str, str]:
    """What code of ``model`` asks of wrappers that PEFT's layers in their places have not, by the wrappers' class.

    Args:
        inner: wrappers in ``model``, and the linear in each; a model that is one itself counts not.
        asks: run code of ``model``; each raises nothing as long as the wrappers are there.
    """
    if not _raised(model, inner, asks):
        return {}
    names = dict.fromkeys(type(wrapper).__name__ for wrapper in inner)
    raised = {
        name: _raised(model, {one: linear for one, linear in inner.items() if type(one).__name__ == name}, asks)
        for name in names
    }
    return {name: told for name, told in raised.items() if told}


def accessors(model: nn.Module) -> list[Callable[[], object]]:
    """What PEFT asks ``model`` for, as far as it answers."""
    found: list[Callable[[], object]] = [getattr(model, name) for name in _ASKED_BY_PEFT if hasattr(model, name)]
    return [accessor for accessor in found if _answers(accessor)]


def _answers(accessor: Callable[[], object]) -> bool:
    try:
        accessor()
    except Exception:  # the classes raise NotImplementedError, AttributeError and others
        return False
    return True


def _raised(model: nn.Module, inner: Mapping[nn.Module, nn.Linear], asks: Iterable[Callable[[], object]]) -> str:
    with restored(model):
        _close(model, inner)
        try:
            for ask in asks:
                ask()
        except _NotThereError as error:
            return str(error)
        except Exception as error:  # a model's code raises whatever it is led to
            told = " ".join(str(error).split())
            return f"the model does not run with PEFT's layer in its place: {type(error).__name__}: {told}"
    return ""


def _close(model: nn.Module, inner: Mapping[nn.Module, nn.Linear]) -> None:
    closed = {wrapper: _Closed(wrapper, linear) for wrapper, linear in inner.items()}
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child is not None and child in closed:
                parent._modules[name] = closed[child]
