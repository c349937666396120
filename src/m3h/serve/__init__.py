"""The local web app: a run's scores, its patients' risks, and what would change them, on the hospital's own machine."""
