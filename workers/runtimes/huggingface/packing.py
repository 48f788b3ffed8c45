"""Linear layers with their weights in the order in which a processor's kernels read them.

PyTorch brings a layer's weights into that order at every call, which for few tokens takes longer than multiplying by
them. Done once, a short text takes a third less time, and a full batch a tenth.
"""

from collections import Counter
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

# The order is chosen for so many tokens at once; others are about as quick with it.
_TOKENS = 256


class PackedLinear(nn.Module):
    """Computes what ``plain`` does, of which it takes the place. Inputs of shape ``(..., in_features)``."""

    packed: Tensor | None
    unpacked: Tensor | None

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = plain.in_features, plain.out_features
        self.bias = plain.bias
        self.register_buffer("packed", _pack(plain.weight.detach()), persistent=False)
        self.register_buffer("unpacked", None, persistent=False)

    @property
    def weight(self) -> Tensor:
        """As ``nn.Linear`` has it. For code that looks at it, this layer becomes a plain one for good: bringing the
        weights back takes time, and keeping both takes twice the memory."""
        if self.unpacked is None:
            if self.packed is None:
                raise ValueError("a layer has lost its weights")
            self.unpacked = self.packed.to_dense()
            self.packed = None
        return self.unpacked

    def forward(self, inputs: Tensor) -> Tensor:
        if self.packed is None or not inputs.numel() or inputs.dtype != torch.float32:
            return nn.functional.linear(inputs, self.weight, self.bias)
        return _multiplied(inputs, self.packed, self.bias)


def pack(network: nn.Module) -> None:
    """Pack each linear layer of a network on the processor whose weights are its own; those that an embedding has, too,
    would have to be kept twice."""
    if not _is_possible():
        return
    users = Counter(id(weight) for module in network.modules() for weight in module.parameters(recurse=False))
    made: dict[nn.Module, nn.Module] = {}
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is not nn.Linear or users[id(child.weight)] > 1 or child.weight.dtype != torch.float32:
                continue
            if child not in made:
                made[child] = PackedLinear(child)
            setattr(parent, name, made[child])


@cache
def _is_possible() -> bool:
    """Whether this build of PyTorch can do it, and rightly, which differs among processors."""
    plain = nn.Linear(48, 80)
    inputs = torch.rand(2, 3, 48)
    try:
        return torch.allclose(PackedLinear(plain)(inputs), plain(inputs), atol=1e-5)
    except (AttributeError, RuntimeError):
        return False


def _pack(weight: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, _TOKENS)
    return packed


def _multiplied(inputs: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    nothing: list[Any] = []
    product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, packed, bias, "none", nothing, "")
    return product
