"""The parts of ``bench/automl.py``."""
