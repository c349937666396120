"""A hospital that does not exist, in MIMIC-IV's layout: patients whose conditions cause what the tables say."""
