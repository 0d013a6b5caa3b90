"""Teams that come with the package, one TOML file each."""

PRESETS = ("qwen3-4b", "qwen2.5-7b", "qwen2.5-3b")
"""Their names. The master of each is a released checkpoint."""
