"""Reinforcement learning of a tiny master, from nothing to a measured gain, on two cores; see docs/training.md."""
