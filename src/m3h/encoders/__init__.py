"""Encoders: a source in, a block of numbers out. One file per modality."""
