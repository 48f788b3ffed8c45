"""Kinds that misbehave, each in one way."""
