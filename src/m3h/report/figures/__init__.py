"""Figures: one file each, with a function that prepares what is drawn and one that draws it as SVG text."""
