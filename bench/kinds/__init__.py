"""Kinds that only benchmarks submit."""
