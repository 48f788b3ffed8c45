"""Linear layers with their weights in the order in which a processor's kernels read them.

PyTorch brings a layer's weights into that order at every call, which for few tokens takes longer than multiplying by
them. Done once, a short text takes a third less time, and a full batch a tenth.
"""

from collections import Counter
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

# A network that is packed is this process's own. One that isn't lies in its file's pages, which runners share and the
# system can take back, and which large ones need more than the time.
_MOST_BYTES = 1 << 30
# The order is chosen for so many tokens at once; others are about as quick with it.
_TOKENS = 256
# A layer with fewer outputs is slower.
_FEWEST_OUTPUTS = 64


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
        """As ``nn.Linear`` has it, for one thread at a time. For code that looks at it, and for inputs that are not
        float32, this layer becomes a plain one for good: bringing the weights back takes time, and keeping both takes
        twice the memory."""
        packed = self.packed
        if packed is not None:
            self.unpacked, self.packed = packed.to_dense(), None
        if self.unpacked is None:
            raise ValueError("a layer has lost its weights")
        return self.unpacked

    def forward(self, inputs: Tensor) -> Tensor:
        if self.packed is None or inputs.dtype != torch.float32:
            return nn.functional.linear(inputs, self.weight, self.bias)
        if not inputs.numel():
            return inputs.new_zeros((*inputs.shape[:-1], self.out_features))
        return _multiplied(inputs, self.packed, self.bias)


def pack(network: nn.Module) -> None:
    """Pack the linear layers of a network of up to 1 GiB on the processor, where that makes them quicker and takes no
    more memory: not those whose weights are an embedding's, too, or are made anew by a hook."""
    tensors = [*network.parameters(), *network.buffers()]
    if not _is_possible() or sum(one.numel() * one.element_size() for one in tensors) > _MOST_BYTES:
        return
    users = Counter(id(one) for module in network.modules() for one in module.parameters(recurse=False))
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for parent in network.modules():
        # `named_children` leaves out the second name of one and the same layer.
        for name, child in parent._modules.items():
            if child is not None and _is_fit(child) and users[id(child.weight)] == 1:
                places.setdefault(id(child), []).append((parent, name))
    del tensors
    for where in places.values():
        _replace(where)
    for module in network.modules():
        for held in (module._parameters, module._buffers):
            for left in held.values():
                if left is not None and left.layout == torch.strided:
                    # It would keep the pages of the whole file.
                    left.data = left.detach().clone()


def _is_fit(layer: nn.Module) -> bool:
    if type(layer) is not nn.Linear or layer._parameters.get("weight") is None:
        return False
    hooks = layer._forward_hooks or layer._forward_pre_hooks
    return not hooks and layer.weight.dtype == torch.float32 and layer.out_features >= _FEWEST_OUTPUTS


def _replace(where: list[tuple[nn.Module, str]]) -> None:
    """The layer that has these places by a packed one; its own weights go at once."""
    parent, name = where[0]
    plain = getattr(parent, name)
    packed = PackedLinear(plain)
    plain.weight = None
    for parent, name in where:
        setattr(parent, name, packed)


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
