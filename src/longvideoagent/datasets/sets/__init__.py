"""Data sets of other publishers, one file each; ``datasets/registry.py`` lists them."""
