"""`--mode=report`: what is known of a run, or of several, as one HTML page."""
