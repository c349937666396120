"""Which tasks to learn together with each task, chosen by cross-validation on training rows alone."""
