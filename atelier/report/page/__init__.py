"""Pages: one self-contained HTML file, which opens without a network and asks for nothing."""
