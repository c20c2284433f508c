"""A run: its config file, its folder, its provenance and its checkpoints."""
