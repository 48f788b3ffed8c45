"""Owns the embedded H2O cluster: one JVM on loopback that outlives workers, so that a new attempt finds its AutoML."""
