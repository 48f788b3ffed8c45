"""Packed layers compute what plain ones do."""

import weakref
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor, nn

from workers.runtimes.huggingface import packing
from workers.runtimes.huggingface.loading import settle
from workers.runtimes.huggingface.packing import PackedLinear, pack


class Mixed(nn.Module):
    """Layers to be packed, also under two names, and others: with an embedding's weights, with few outputs, and with
    weights that a hook makes."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(70, 64)
        self.own = nn.Linear(64, 64)
        self.shared = nn.ModuleList([self.own, nn.LayerNorm(64)])
        self.again = self.own
        self.normed = nn.utils.weight_norm(nn.Linear(64, 64))
        self.few = nn.Linear(64, 2)
        self.head = nn.Linear(64, 70, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.normed(self.again(self.shared[1](self.own(self.words(ids)))))
        return self.head(hidden), self.few(hidden)


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


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_a_network_is_packed_where_that_is_right_and_takes_no_more_memory() -> None:
    network, ids = Mixed().eval(), torch.arange(6).reshape(2, 3)
    # As a file's weights would, it makes what the hook has made before untrue.
    network.normed.weight_g.data *= 3
    network.requires_grad_(False)
    with torch.inference_mode():
        before, bytes_before = network(ids), byte_count(network)
        kept_for = weakref.ref(network.own.weight)
        pack(network)
        assert isinstance(network.own, PackedLinear)
        assert network.shared[0] is network.again is network.own
        assert [type(one) for one in (network.head, network.few, network.normed)] == [nn.Linear] * 3
        assert network.head.weight is network.words.weight
        for packed, plain in zip(network(ids), before, strict=True):
            assert torch.allclose(packed, plain, atol=1e-6)
    assert kept_for() is None
    assert byte_count(network) == bytes_before


def test_nothing_is_left_in_the_file_and_a_large_network_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its weights lie is told by whether writing over the file changes them."""
    file = tmp_path / "weights.bin"
    for most, is_packed in ((1 << 30, True), (1000, False)):
        monkeypatch.setattr(packing, "_MOST_BYTES", most)
        torch.ones(64 * 64).numpy().tofile(file)
        network = nn.Sequential(nn.Embedding(64, 64), nn.Linear(64, 64)).requires_grad_(False)
        network[0].weight.data = torch.from_file(str(file), shared=True, size=64 * 64).reshape(64, 64)
        settle(network, "cpu")
        file.write_bytes(bytes(file.stat().st_size))
        assert isinstance(network[1], PackedLinear) == is_packed
        assert bool(network[0].weight.all()) == is_packed


def test_what_is_for_another_device_stays_plain() -> None:
    network = nn.Sequential(nn.Linear(64, 64))
    settle(network, "meta")
    assert type(network[0]) is nn.Linear


def test_a_model_that_looks_at_its_layers_weights_is_right() -> None:
    """T5 asks a layer's weights for their type at each call."""
    config = transformers.T5Config(vocab_size=70, d_model=64, d_ff=64, d_kv=16, num_heads=4, num_layers=1)
    network = transformers.T5EncoderModel(config).eval().requires_grad_(False)
    ids = torch.arange(6).reshape(2, 3)
    with torch.inference_mode():
        before = network(ids).last_hidden_state
        pack(network)
        found = [network(ids).last_hidden_state for _ in range(2)]
    assert all(torch.allclose(one, before, atol=1e-5) for one in found)
    layers = [one for one in network.modules() if isinstance(one, PackedLinear)]
    assert sum(one.packed is None for one in layers) == 1
