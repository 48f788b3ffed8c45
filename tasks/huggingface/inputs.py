"""What is computed on: lists of texts, sounds and pictures."""

from typing import Annotated

from pydantic import Field

from tasks.contracts import Input

MOST_INPUTS = 1024

Text = Annotated[str, Field(min_length=1, max_length=100_000)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=MOST_INPUTS)]
Files = Annotated[list[Input], Field(min_length=1, max_length=MOST_INPUTS)]
