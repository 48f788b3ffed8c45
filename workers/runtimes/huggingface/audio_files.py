"""Sound files as what a model hears: one channel at its own rate."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from tasks.errors import InvalidInput

MOST_SECONDS = 4 * 3600
_BLOCK_SECONDS = 10
_FORMATS = {"WAV", "WAVEX", "FLAC", "MP3", "OGG", "AIFF", "RF64", "W64"}

Sound = NDArray[np.float32]


def read_sound(path: Path, index: int, rate: int) -> Sound:
    """Raises ``InvalidInput`` that names the sound by its place among the job's.

    Read block by block, so that a file that says little and holds much can't fill the memory.
    """
    try:
        # Not by its path, from whose ending the library would guess the format.
        with path.open("rb") as opened, soundfile.SoundFile(opened) as sound:
            if sound.format not in _FORMATS:
                raise InvalidInput(f"Sound {index} is a {sound.format} file; give WAV, FLAC, MP3, OGG or AIFF.")
            heard = _resampled(sound, index, rate)
    except soundfile.SoundFileError as exc:
        raise InvalidInput(
            f"Sound {index} can't be read; give a whole file of the sort WAV, FLAC, MP3, OGG or AIFF."
        ) from exc
    if not heard.size:
        raise InvalidInput(f"Sound {index} is empty.")
    if not np.isfinite(heard).all():
        raise InvalidInput(f"Sound {index} has values that are no numbers.")
    return heard


def _resampled(sound: Any, index: int, rate: int) -> Sound:
    if not 1000 <= sound.samplerate <= 768_000:
        raise InvalidInput(f"Sound {index} has a rate of {sound.samplerate} Hz; 1,000 to 768,000 can be read.")
    stream = soxr.ResampleStream(sound.samplerate, rate, 1, dtype="float32", quality="HQ")
    same = sound.samplerate == rate
    blocks: list[Sound] = []
    read = 0
    for block in sound.blocks(blocksize=sound.samplerate * _BLOCK_SECONDS, dtype="float32", always_2d=True):
        read += len(block)
        if read > MOST_SECONDS * sound.samplerate:
            raise InvalidInput(f"Sound {index} is longer than {MOST_SECONDS // 3600} hours; cut it up.")
        one_channel = block.mean(axis=1)
        blocks.append(one_channel if same else stream.resample_chunk(one_channel))
    if not same:
        blocks.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
