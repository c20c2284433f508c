"""Codes of any family: encoding, decoding, drawing."""
