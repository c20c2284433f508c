"""Well-known image sets from the files that their authors publish, without TensorFlow."""
