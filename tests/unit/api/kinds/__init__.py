"""Kinds that exist for tests only."""
