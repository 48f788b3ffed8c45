"""Classes of sounds, and what was said."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from transformers.pipelines.automatic_speech_recognition import rescale_stride

from tasks.errors import InvalidInput
from tasks.huggingface.classes import AudioClassification, LabelLists
from tasks.huggingface.hearing import Transcription, Transcripts
from workers.inference.batcher import Item
from workers.runtimes.huggingface.audio_files import read_sound
from workers.runtimes.huggingface.batches import Row, by_shape, padded
from workers.runtimes.huggingface.desk import Desk, Piece, joined

# Sounds are large: so many are prepared at a time.
_AT_A_TIME = 16
_FEATURES = ("input_values", "input_features", "attention_mask")
_SAMPLES_A_TOKEN = 320  # 20 ms, which is what most models tell apart


def classify_audio(spec: AudioClassification, desk: Desk) -> LabelLists:
    pipe = desk.equipped.pipe
    _, _, after = pipe._sanitize_parameters(top_k=spec.top_k, function_to_apply=spec.function_to_apply)
    outputs = _heard(
        desk, spec.audio, lambda sound: [dict(pipe.preprocess(sound))], lambda pieces: _classes(desk, pieces)
    )
    # The library reads the output's attributes here.
    return LabelLists.model_validate({"outputs": [pipe.postprocess(_Output(piece), **after) for (piece,) in outputs]})


class _Output:
    def __init__(self, piece: Piece) -> None:
        self.logits = piece["logits"]


def _classes(desk: Desk, pieces: Sequence[Piece]) -> Sequence[Piece]:
    def compute(rows: Sequence[Row]) -> Sequence[Piece]:
        logits = desk.equipped.network(**_batch(desk, rows)).logits.cpu()
        return [{"logits": logits[number : number + 1]} for number in range(len(rows))]

    return desk.compute("classes", [Item(piece, _tokens(piece)) for piece in pieces], _paddable(desk, compute))


def transcribe_audio(spec: Transcription, desk: Desk) -> Transcripts:
    pipe = desk.equipped.pipe
    _require_known(spec, desk)
    written: dict[str, Any] = {
        name: value
        for name in ("language", "task", "max_new_tokens", "num_beams")
        if (value := getattr(spec, name)) is not None
    }
    try:
        before, during, after = pipe._sanitize_parameters(
            chunk_length_s=spec.chunk_length_s,
            stride_length_s=spec.stride_length_s,
            return_timestamps=spec.return_timestamps or None,
            ignore_warning=True,
            generate_kwargs=written,
        )
    except ValueError as exc:
        raise InvalidInput(str(exc)) from exc
    compute = _spelled if pipe.type == "ctc" else _written
    outputs = _heard(
        desk,
        spec.audio,
        lambda sound: map(dict, pipe.preprocess(sound, **before)),
        lambda pieces: compute(desk, pieces, during),
    )
    transcripts = []
    for pieces in outputs:
        with desk.equipped.preparing:
            transcripts.append(pipe.postprocess([dict(piece) for piece in pieces], **after))
    return Transcripts.model_validate({"outputs": transcripts})


def _require_known(spec: Transcription, desk: Desk) -> None:
    """Raises ``InvalidInput`` for what the model doesn't have."""
    is_whisper = desk.equipped.pipe.type == "seq2seq_whisper"
    if desk.equipped.pipe.type not in ("ctc", "seq2seq", "seq2seq_whisper"):
        raise InvalidInput(
            "Models that transcribe as transducers do are not known here; choose one with CTC or Whisper."
        )
    for name in ("language", "task"):
        if getattr(spec, name) is not None and not is_whisper:
            raise InvalidInput(f"Only Whisper's models can be told a {name}; leave it out for this one.")
    if desk.equipped.pipe.type == "ctc" and (spec.max_new_tokens or spec.num_beams):
        raise InvalidInput("A model with CTC writes as much as is said; leave out max_new_tokens and num_beams.")


def _heard(
    desk: Desk,
    files: Sequence[Any],
    prepare: Callable[[Any], Iterable[Piece]],
    compute: Callable[[Sequence[Piece]], Sequence[Piece]],
) -> list[list[Piece]]:
    """What is computed of each file's pieces, some files at a time."""
    rate = desk.equipped.feature_extractor.sampling_rate
    outputs: list[list[Piece]] = []
    for first in range(0, len(files), _AT_A_TIME):
        prepared = []
        for index, source in enumerate(files[first : first + _AT_A_TIME], first):
            desk.look()
            sound = read_sound(desk.job.input_path(source), index, rate)
            _require_length(desk, index, sound.size)
            with desk.equipped.preparing:
                prepared.append(list(prepare(sound)))
        # What was computed is small; what it was computed from is not needed again.
        outputs += [[_without_features(piece) for piece in pieces] for pieces in joined(prepared, compute)]
    return outputs


def _require_length(desk: Desk, index: int, samples: int) -> None:
    lengths = getattr(desk.equipped.network, "_get_feat_extract_output_lengths", None)
    if desk.equipped.network.main_input_name == "input_values" and lengths is not None and int(lengths(samples)) < 1:
        rate = desk.equipped.feature_extractor.sampling_rate
        raise InvalidInput(f"Sound {index} is too short for the model: {samples / rate:.3f} seconds.")


def _without_features(piece: Piece) -> Piece:
    return {name: value for name, value in piece.items() if name not in _FEATURES}


def _spelled(desk: Desk, pieces: Sequence[Piece], _during: Any) -> Sequence[Piece]:
    """A token for each frame; what belongs to the padding is cut off."""
    network = desk.equipped.network
    ratio = 1 / desk.equipped.pipe._align_to

    def compute(rows: Sequence[Row]) -> Sequence[Piece]:
        tokens = network(**_batch(desk, rows)).logits.argmax(dim=-1).cpu()
        return [
            {"tokens": tokens[number : number + 1, : _frames(network, row) if len(rows) > 1 else None]}
            for number, row in enumerate(rows)
        ]

    items = [Item(_features(piece), _tokens(piece)) for piece in pieces]
    outputs = desk.compute("spelled", items, _paddable(desk, compute))
    return [
        {**output, **({"stride": _rescaled(piece["stride"], ratio)} if "stride" in piece else {})}
        for piece, output in zip(pieces, outputs, strict=True)
    ]


def _rescaled(stride: tuple[int, int, int], ratio: float) -> Any:
    """What overlaps, in the network's steps instead of samples."""
    return rescale_stride([stride], ratio)[0]  # type: ignore[no-untyped-call]


def _frames(network: Any, row: Row) -> int | None:
    samples = row[network.main_input_name].shape[1]
    return int(network._get_feat_extract_output_lengths(torch.tensor(samples)))


def _written(desk: Desk, pieces: Sequence[Piece], during: dict[str, Any]) -> Sequence[Piece]:
    """Tokens written one after the other, as the pipeline does it. Features of one length may share a batch."""
    pipe = desk.equipped.pipe

    def compute(rows: Sequence[Row]) -> Sequence[Piece]:
        try:
            said = pipe._forward({**_batch(desk, rows), "is_last": True}, **during)
        except ValueError as exc:
            why = str(exc).strip().partition("\n")[0][:300]
            raise InvalidInput(f"The model can't transcribe as these parameters say: {why}") from exc
        return [
            {name: _row(said[name], number) for name in ("tokens", "token_timestamps") if name in said}
            for number in range(len(rows))
        ]

    key = ("written", tuple(sorted((name, str(value)) for name, value in during.items())))
    return desk.compute(key, [Item(_features(piece), _tokens(piece)) for piece in pieces], by_shape(compute))


def _row(values: Any, number: int) -> Any:
    if isinstance(values, list):
        return [values[number].cpu()]
    return values[number : number + 1].cpu()


def _features(piece: Piece) -> Row:
    return {name: piece[name] for name in _FEATURES if name in piece}


def _batch(desk: Desk, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    return {name: tensor.to(desk.equipped.network.device) for name, tensor in padded(rows, 0).items()}


def _tokens(piece: Piece) -> int:
    if "input_values" in piece:
        return int(piece["input_values"].shape[1]) // _SAMPLES_A_TOKEN + 1
    return int(piece["input_features"].shape[-1]) // 2 + 1


def _paddable(desk: Desk, compute: Callable[[Sequence[Row]], Sequence[Piece]]) -> Callable[..., Sequence[Piece]]:
    """As it is, for models made to be told by a mask what is padding; else sounds of one length are taken together."""
    return compute if getattr(desk.equipped.feature_extractor, "return_attention_mask", False) else by_shape(compute)
