"""The three agents: what each must do, and those that do it."""
