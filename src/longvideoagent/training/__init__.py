"""Reinforcement learning of the master with the loop that asks and evaluates."""
