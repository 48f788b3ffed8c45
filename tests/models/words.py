"""Vocabularies of a few words, written down instead of trained, so that every version reads the same."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, Unigram, WordPiece

TEXT = """
the cat sat on the mat and looked at the small red bird in the old garden . a train leaves the station at seven in the
morning , runs along the river and reaches the city before noon . anna lives in berlin and works for a bank ; her
brother tom moved to paris last year . summer rain falls on the green hills , and the farmers bring in the hay . who
where when what how is was are were not very good bad great terrible fine i you he she it we they this that with for
"""
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'-éüß"
MASK = "<mask>"
Document = dict[str, object]


def words() -> list[str]:
    """Every word of the text once, in order."""
    return list(dict.fromkeys(TEXT.split()))


def word_pieces(directory: Path, *, longest: int = 64) -> int:
    """A BERT tokenizer: words, letters, and words' continuations. Answers the size of the vocabulary."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary += list(dict.fromkeys([*words(), *LETTERS, "ing", *(f"##{letter}" for letter in LETTERS), "##ing"]))
    ids = {word: number for number, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    tokenizer.add_special_tokens(vocabulary[:5])
    names = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
    _keep(tokenizer, directory, "BertTokenizer", longest, names, do_lower_case=True)
    (directory / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    return len(vocabulary)


def pairs() -> tuple[list[str], list[tuple[str, str]]]:
    """Pieces of a byte-level BPE, a space written Ġ: printable ASCII, and what merges of two make of it: the words."""
    pieces = [*(chr(code) for code in range(33, 127)), "Ġ"]
    merges: list[tuple[str, str]] = []
    for word in [f"Ġ{word}" for word in words() if word.isalpha()]:
        for end in range(1, len(word)):
            if word[: end + 1] not in pieces:
                merges.append((word[:end], word[end]))
                pieces.append(word[: end + 1])
    return pieces, merges


def byte_pairs(directory: Path, name: str, special: dict[str, str], *, longest: int = 64, **more: object) -> int:
    """A byte-level BPE tokenizer (GPT-2's, BART's). ``special`` are its tokens by role, such as ``eos``. Answers the
    size of the vocabulary."""
    pieces, merges = pairs()
    tokens = list(dict.fromkeys(special.values()))
    vocabulary = {piece: number for number, piece in enumerate([*tokens, *pieces])}
    tokenizer = Tokenizer(BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if "sep" in special:
        ends = [(special[role], vocabulary[special[role]]) for role in ("sep", "cls")]
        tokenizer.post_processor = processors.RobertaProcessing(*ends, trim_offsets=True, add_prefix_space=False)
    else:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens(tokens)
    _keep(tokenizer, directory, name, longest, special, **more)
    (directory / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (directory / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    return len(vocabulary)


def unigrams(directory: Path, name: str, first: list[str], last: list[str], *, longest: int = 64) -> int:
    """A tokenizer in SentencePiece's manner (T5's, mBART's): ``first`` and ``last`` are the tokens at both ends of the
    vocabulary, ``<unk>`` among the first. Answers the size of the vocabulary."""
    pieces = [(token, 0.0) for token in first] + [("▁", -2.0)]
    pieces += [(f"▁{word}", -3.0 - number / 100) for number, word in enumerate(words())]
    pieces += [(letter, -8.0 - number / 100) for number, letter in enumerate(LETTERS) if letter.isalnum()]
    pieces += [(token, 0.0) for token in last]
    tokenizer = Tokenizer(Unigram(pieces, unk_id=first.index("<unk>"), byte_fallback=False))
    space = {"replacement": "▁", "prepend_scheme": "always", "split": True}
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**space)]  # type: ignore[arg-type]
    )
    tokenizer.decoder = decoders.Metaspace(**space)  # type: ignore[arg-type]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", first.index("</s>"))]
    )
    tokenizer.add_special_tokens([*first, *last])
    names = {"eos": "</s>", "unk": "<unk>", "pad": "<pad>"}
    _keep(tokenizer, directory, name, longest, names, **({"extra_ids": 0} if name == "T5Tokenizer" else {}))
    return len(pieces)


def _keep(
    tokenizer: Tokenizer, directory: Path, name: str, longest: int, special: dict[str, str], **more: object
) -> None:
    tokenizer.save(str(directory / "tokenizer.json"))
    settings: Document = {"tokenizer_class": name, "model_max_length": longest, **more}
    settings |= {f"{role}_token": token for role, token in special.items()}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings, indent=1))
