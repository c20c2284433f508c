"""How each kind of data is drawn: one file a kind."""
