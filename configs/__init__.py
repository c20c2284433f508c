"""One short file per experiment: a docstring, `get_config(arg)` and `build(config, spec)`."""
