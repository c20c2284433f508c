"""Code shared by several configs: common fields, and settings of one family."""
