"""Scores, intervals and comparisons: arrays in, numbers out."""
