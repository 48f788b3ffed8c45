"""Telling what is written while it is written."""

import time
from collections.abc import Callable, Sequence

import torch
from transformers.generation.streamers import BaseStreamer

_SAY_EVERY_SECONDS = 0.1
# What stands for bytes that are no whole character yet.
_UNFINISHED = "\ufffd"


class Teller:
    """Makes text of one prompt's new tokens, and says it in parts."""

    def __init__(self, say: Callable[[str], None], decode: Callable[[list[int]], str]) -> None:
        self._say = say
        self._decode = decode
        self._tokens: list[int] = []
        self._said = 0
        self._said_at = 0.0

    def begin(self) -> None:
        """Forget what was written; what is written anew is said from where it goes beyond what was said."""
        self._tokens.clear()

    def hear(self, token: int) -> None:
        """Take the next token; what there is to say is said ten times a second."""
        self._tokens.append(token)
        if time.monotonic() - self._said_at >= _SAY_EVERY_SECONDS:
            self.tell()

    def tell(self, *, last: bool = False) -> None:
        """Say what was not said yet; a character that may be unfinished only if it is the ``last`` time."""
        text = self._decode(self._tokens)
        if not last:
            text = text.rstrip(_UNFINISHED)
        if len(text) > self._said:
            self._say(text[self._said :])
            self._said = len(text)
        self._said_at = time.monotonic()


class TellingStreamer(BaseStreamer):
    """Hands each token of a batch to the teller of its prompt. A batch that did not fit is written anew in halves, and
    its tellers begin anew."""

    def __init__(self, tellers: Sequence[Teller | None], *, skip_first: bool) -> None:
        self._tellers = tellers
        self._skip = skip_first
        for teller in tellers:
            if teller is not None:
                teller.begin()

    @property
    def wanted(self) -> bool:
        return any(self._tellers)

    def put(self, value: torch.Tensor) -> None:
        """``generate`` first brings the prompts, then a token for each."""
        if self._skip:
            self._skip = False
            return
        for teller, token in zip(self._tellers, value.reshape(-1).tolist(), strict=True):
            if teller is not None:
                teller.hear(token)

    def end(self) -> None: ...

    def flush(self) -> None:
        """Say the rest."""
        for teller in self._tellers:
            if teller is not None:
                teller.tell(last=True)
