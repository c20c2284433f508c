"""Parts of the training loop: dispatches, the input pipeline, validation, stop signals."""
