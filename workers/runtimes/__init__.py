"""Adapters of computing libraries: only ``workers.runtimes.X`` imports library X."""
