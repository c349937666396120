"""Pretrained weights: which there are, where they lie, how they are fetched and read. Nothing is unpickled freely."""
