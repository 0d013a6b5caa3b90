"""Weights of models that run in this process: which are known, where they lie, and how they come here."""
