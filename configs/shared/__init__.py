"""What several config files use: common fields, and settings of a family."""
