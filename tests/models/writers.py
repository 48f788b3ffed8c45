"""Models that write: from a text to a text, and on from a prompt."""

from pathlib import Path

from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    MBartConfig,
    MBartForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.models.weights import keep_with_seeded_weights
from tests.models.words import byte_pairs, unigrams

_BART_TOKENS = {
    "bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>", "sep": "</s>", "cls": "<s>"
}  # fmt: skip
# MBart's tokenizer knows exactly these.
LANGUAGES = [
    "ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX",
    "kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK", "tr_TR", "vi_VN",
    "zh_CN",
]  # fmt: skip
CHAT = (
    "{% for message in messages %}<|{{ message['role'] }}|> {{ message['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> {% endif %}"
)


def summarizer(directory: Path) -> None:
    """BART, with parameters of its own for the task, as the well-known ones have."""
    size = byte_pairs(directory, "BartTokenizer", _BART_TOKENS)
    config = BartConfig(
        vocab_size=size,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=64,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_eos_token_id=2,
    )
    model = BartForConditionalGeneration(config)
    # Not 20, which the library takes for its own default.
    model.generation_config.max_length = 22
    model.generation_config._from_model_config = False
    keep_with_seeded_weights(model, directory)


def prefixed(directory: Path) -> None:
    """T5, which is told its task by a prefix to the text."""
    size = unigrams(directory, "T5Tokenizer", ["<pad>", "</s>", "<unk>"], [])
    config = T5Config(
        vocab_size=size,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_decoder_layers=1,
        num_heads=2,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        task_specific_params={
            "summarization": {"prefix": "the : ", "max_length": 18, "min_length": 4, "num_beams": 3},
            "translation_en_to_fr": {"prefix": "in paris : ", "max_length": 16, "num_beams": 1},
        },
    )
    keep_with_seeded_weights(T5ForConditionalGeneration(config), directory)


def multilingual(directory: Path) -> None:
    """mBART, which needs to know from which language to which."""
    size = unigrams(directory, "MBartTokenizer", ["<s>", "<pad>", "</s>", "<unk>"], [*LANGUAGES, "<mask>"])
    config = MBartConfig(
        vocab_size=size,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=64,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        forced_eos_token_id=2,
        decoder_start_token_id=2,
    )
    keep_with_seeded_weights(MBartForConditionalGeneration(config), directory)


def continuer(directory: Path) -> None:
    """GPT-2, which goes on from a prompt, and has a template for chats."""
    end = "<|endoftext|>"
    size = byte_pairs(directory, "GPT2Tokenizer", {"eos": end, "bos": end, "unk": end}, longest=128, chat_template=CHAT)
    config = GPT2Config(
        vocab_size=size, n_positions=128, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    keep_with_seeded_weights(GPT2LMHeadModel(config), directory)
