"""Many settings of one config, trained side by side: --mode=sweep."""
