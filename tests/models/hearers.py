"""Models that hear: speech recognition of both sorts, and classes of sounds."""

import json
from pathlib import Path

from transformers import (
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from tests.models.weights import keep_with_seeded_weights
from tests.models.words import pairs

SOUNDS = ["bell", "bird", "engine", "rain"]
_CHUNK_SECONDS = 2


def speller(directory: Path) -> None:
    """wav2vec 2.0 with CTC: a letter, or nothing, for each 20 ms."""
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
    (directory / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    _write(
        directory / "tokenizer_config.json",
        tokenizer_class="Wav2Vec2CTCTokenizer",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        word_delimiter_token="|",
        do_lower_case=False,
    )
    _wave(directory, return_attention_mask=True)
    keep_with_seeded_weights(Wav2Vec2ForCTC(_wave_config(len(letters), feat_extract_norm="layer")), directory)


def listener(directory: Path) -> None:
    """wav2vec 2.0 with classes. Its norm runs over the whole length, so padding would change what it hears."""
    _wave(directory, return_attention_mask=False)
    config = _wave_config(
        32, id2label=dict(enumerate(SOUNDS)), label2id={x: i for i, x in enumerate(SOUNDS)}, classifier_proj_size=8
    )
    keep_with_seeded_weights(Wav2Vec2ForSequenceClassification(config), directory)


def transcriber(directory: Path) -> None:
    """Whisper with chunks of two seconds instead of thirty."""
    pieces, merges = pairs()
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>"]
    special += ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    special += [f"<|{step * 0.02:.2f}|>" for step in range(1501)]
    ids = {piece: number for number, piece in enumerate([*pieces, *special])}
    _write_whisper_words(directory, ids, merges, len(pieces), special)
    WhisperFeatureExtractor(feature_size=16, chunk_length=_CHUNK_SECONDS).save_pretrained(directory)
    config = WhisperConfig(
        vocab_size=len(ids),
        num_mel_bins=16,
        d_model=16,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_source_positions=_CHUNK_SECONDS * 50,
        max_target_positions=64,
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=ids["<|endoftext|>"],
        pad_token_id=ids["<|endoftext|>"],
        decoder_start_token_id=ids["<|startoftranscript|>"],
        suppress_tokens=None,
        begin_suppress_tokens=None,
        median_filter_width=3,
    )
    model = WhisperForConditionalGeneration(config)
    settings = model.generation_config
    # Else the library would make these settings anew from the configuration, which has few of them.
    settings._from_model_config = False
    settings.max_length = 24
    settings.is_multilingual = True
    settings.no_timestamps_token_id = ids["<|notimestamps|>"]
    settings.lang_to_id = {token: ids[token] for token in ("<|en|>", "<|de|>")}
    settings.task_to_id = {task: ids[f"<|{task}|>"] for task in ("translate", "transcribe")}
    settings.prev_sot_token_id = ids["<|startofprev|>"]
    settings.return_timestamps = False
    settings.alignment_heads = [[0, 0], [1, 1]]
    settings.max_initial_timestamp_index = 50
    # There are three times as many timestamps as pieces, and the model would say little else.
    keep_with_seeded_weights(model, directory, ("model.decoder.embed_tokens.weight", ids["<|0.00|>"]))


def _write_whisper_words(
    directory: Path, ids: dict[str, int], merges: list[tuple[str, str]], ordinary: int, special: list[str]
) -> None:
    (directory / "vocab.json").write_text(
        json.dumps({piece: n for piece, n in ids.items() if n < ordinary or piece == special[0]}, ensure_ascii=False)
    )
    (directory / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    added = {
        str(ids[token]): {
            "content": token, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False,
            "special": not token[2].isdigit(),
        }
        for token in special
    }  # fmt: skip
    _write(
        directory / "tokenizer_config.json",
        tokenizer_class="WhisperTokenizer",
        model_max_length=64,
        added_tokens_decoder=added,
        additional_special_tokens=[token for token in special if not token[2].isdigit()],
        bos_token=special[0],
        eos_token=special[0],
        pad_token=special[0],
        unk_token=special[0],
    )


def _wave(directory: Path, *, return_attention_mask: bool) -> None:
    Wav2Vec2FeatureExtractor(return_attention_mask=return_attention_mask).save_pretrained(directory)


def _wave_config(size: int, **more: object) -> Wav2Vec2Config:
    return Wav2Vec2Config(
        vocab_size=size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(16, 16, 16),
        conv_stride=(5, 8, 8),
        conv_kernel=(10, 8, 8),
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        **more,
    )


def _write(path: Path, **settings: object) -> None:
    path.write_text(json.dumps(settings, indent=1))
