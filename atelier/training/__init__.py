"""What surrounds the training loop: dispatches, the input pipeline, validation, stop signals."""
