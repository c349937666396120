"""Errors, seeds, fingerprints, registries and safe writing: what every other part leans on."""
