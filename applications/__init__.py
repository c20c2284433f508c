"""What people do with a trained model: one file each, run as --mode=NAME --workdir=RUN."""
