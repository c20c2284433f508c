"""What people do with a trained model: one file for each --mode."""
