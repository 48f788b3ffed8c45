"""What the models hear and see: made from a formula, the same bits on every machine."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RATE = 16_000


def sound(seed: int, seconds: float, rate: int = RATE) -> NDArray[np.float32]:
    """Three tones that come and go, and a little noise; between -1 and 1."""
    chance = np.random.default_rng(seed)
    at = np.arange(round(seconds * rate)) / rate
    heard = 0.02 * chance.standard_normal(at.size)
    for _ in range(3):
        pitch, pace, phase = chance.uniform(80, 2000), chance.uniform(1, 4), chance.uniform(0, 6)
        heard += 0.3 * np.sin(2 * np.pi * pitch * at) * np.sin(pace * at + phase) ** 2
    return np.round(np.clip(heard, -1, 1) * 32767).astype(np.int16).astype(np.float32) / 32768


def picture(seed: int, width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Stripes, a gradient and some squares."""
    chance = np.random.default_rng(seed)
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    seen = np.stack([across * 255 // width, down * 255 // height, (across * 7 + down * 3) % 256], axis=-1)
    for _ in range(4):
        left, top = chance.integers(0, width), chance.integers(0, height)
        seen[top : top + height // 3, left : left + width // 3] = chance.integers(0, 256, 3)
    return Image.fromarray(seen.astype(np.uint8), "RGB").convert(mode)
