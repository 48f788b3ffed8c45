"""The parts of ``bench.inference``."""
