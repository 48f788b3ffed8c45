"""How a job is run: a worker supervises, its runners compute."""
