"""Reinforcement learning of a tiny master, from random weights to a measured gain, on two cores."""
