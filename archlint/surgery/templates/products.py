"""What stands for a weight in code that multiplies by it: a linear multiplies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Matrix:
    """The weight of a linear, or its transpose, to code that multiplies by it.

    The product is what the linear gives, or what PEFT has put in the linear's place.
    """

    def __init__(self, linear: nn.Module, *, transposed: bool = False) -> None:
        self.linear = linear
        self.transposed = transposed

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Multiply: ``linear`` takes the weight, ``matmul`` and its like the transpose.

        Raises:
            NotImplementedError: it is no such product.
        """
        inputs, matrix, *rest = [*args, *(kwargs or {}).values(), None]
        if isinstance(inputs, Tensor) and isinstance(matrix, Matrix):
            if function.__name__ == "linear" and not matrix.transposed:
                outputs = matrix.linear(inputs)
                return outputs if rest[0] is None else outputs + rest[0]
            products = ("matmul", "__matmul__", "mm", "bmm")
            if function.__name__ in products and matrix.transposed:
                return matrix.linear(inputs)
        raise NotImplementedError(
            f"{function.__name__} of a weight that a linear stands for: "
            "only products can be taken"
        )

    @property
    def weight(self) -> Tensor:
        """The weight itself, ``(out, in)``."""
        weight: Any = self.linear.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def dtype(self) -> torch.dtype:
        """That of the weight."""
        return self.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the weight is."""
        return self.weight.device

    @property
    def T(self) -> Matrix:
        """The transpose."""
        return Matrix(self.linear, transposed=not self.transposed)

    def t(self) -> Matrix:
        """The transpose."""
        return self.T

    def transpose(self, *dimensions: int) -> Matrix:
        """The transpose."""
        return self.T

    def to(self, *_: Any, **__: Any) -> Matrix:
        """Itself: in which type to multiply is up to the linear."""
        return self

    def type(self, dtype: torch.dtype) -> Matrix:
        """Itself."""
        return self

    def float(self) -> Matrix:
        """Itself."""
        return self
