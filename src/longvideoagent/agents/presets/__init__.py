"""Teams that come with the package, one TOML file each."""

CHECKPOINTS = ("qwen3-4b", "qwen2.5-7b", "qwen2.5-3b")
"""The released checkpoints. As a team's name, each stands for its preset ``-as-trained``."""
PRESETS = tuple(f"{name}-{form}" for name in CHECKPOINTS for form in ("as-evaluated", "as-trained"))
"""Their names. The master of each is a checkpoint, in the form in which the public code evaluates or trains it."""
