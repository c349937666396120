"""The M3H network in plain PyTorch: every parameter and activation has a leading fleet axis."""
