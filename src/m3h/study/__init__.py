"""The study file: what it may say, and reading it into frozen specs with every mistake reported at once."""
