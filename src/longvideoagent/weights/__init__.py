"""Weights of models that run in this process: which are known, where they are stored, and how they are downloaded."""
