"""Python does what the command line does: M3H, and the pipeline behind `m3h run`."""
