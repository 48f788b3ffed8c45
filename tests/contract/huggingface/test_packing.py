"""Packed layers compute what plain ones do."""

import pytest
import torch
from torch import Tensor, nn

from workers.runtimes.huggingface.packing import PackedLinear, pack


class Tied(nn.Module):
    """A layer of its own, one that two names share, and one whose weights are the embedding's."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 24)
        self.own = nn.Linear(24, 24)
        self.shared = nn.ModuleList([self.own, nn.LayerNorm(24)])
        self.head = nn.Linear(24, 50, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        hidden: Tensor = self.head(self.shared[1](self.own(self.words(ids))))
        return hidden


def byte_count(network: nn.Module) -> int:
    return sum(one.numel() * one.element_size() for one in [*network.parameters(), *network.buffers()])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "inputs",
    [
        torch.rand(48),
        torch.rand(1, 48),
        torch.rand(2, 7, 48),
        torch.rand(2, 3, 7, 48).transpose(1, 2),
        torch.rand(5, 9, 48)[:, 0],
        torch.rand(48, 6).t(),
        torch.rand(700, 48),
        torch.rand(0, 48),
    ],
    ids=["vector", "row", "batch", "transposed", "first tokens", "columns", "many", "none"],
)
def test_it_computes_the_same(inputs: Tensor, bias: bool) -> None:
    plain = nn.Linear(48, 80, bias=bias)
    with torch.inference_mode():
        packed = PackedLinear(plain)
        assert packed.packed is not None
        assert torch.allclose(packed(inputs), plain(inputs), atol=1e-6)
        assert packed(inputs).shape == plain(inputs).shape


def test_who_looks_at_the_weights_sees_them_and_the_layer_goes_on() -> None:
    plain, inputs = nn.Linear(48, 80), torch.rand(3, 48)
    with torch.inference_mode():
        packed = PackedLinear(plain)
        assert torch.equal(packed.weight, plain.weight)
        assert packed.weight is packed.weight
        assert torch.equal(packed(inputs), plain(inputs))
        assert byte_count(packed) == byte_count(plain)


def test_a_network_is_packed_where_that_takes_no_more_memory() -> None:
    network, ids = Tied().eval().requires_grad_(False), torch.arange(6).reshape(2, 3)
    with torch.inference_mode():
        before, bytes_before = network(ids), byte_count(network)
        pack(network)
        assert isinstance(network.own, PackedLinear)
        assert network.shared[0] is network.own
        assert type(network.head) is nn.Linear
        assert torch.allclose(network(ids), before, atol=1e-6)
    assert byte_count(network) == bytes_before
