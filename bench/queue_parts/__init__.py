"""The parts of ``bench/queue.py``."""
