"""Teams that ship, one TOML file each."""
