"""Models that see."""

from pathlib import Path

from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from tests.models.weights import keep_with_seeded_weights

THINGS = ["boat", "cat", "house", "tree", "wheel", "window"]


def looker(directory: Path) -> None:
    """A vision transformer with classes."""
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(directory)
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        id2label=dict(enumerate(THINGS)),
        label2id={thing: number for number, thing in enumerate(THINGS)},
    )
    keep_with_seeded_weights(ViTForImageClassification(config), directory)
