"""Tiny models for each task of Hugging Face: random weights of a fixed seed, vocabularies of a few words.

They say nothing sensible, but they say it the same way in every version of the library and on every machine, so what
the library's pipelines once made of them can be compared with. Built into a directory when tests set up; nothing here
needs a network.
"""
