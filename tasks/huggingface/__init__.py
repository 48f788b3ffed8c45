"""What the kinds of the transformers library ask for and answer.

Fields have the names that the library's pipelines give them, and each result's ``outputs`` has the shape of what the
pipelines of version 4.57 answer to a list of inputs: one element for each input, in their order. The one difference:
a list of one input is answered by a list of one element.
"""
