"""Rules and names that are data, not code: read with importlib.resources."""
