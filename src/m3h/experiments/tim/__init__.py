"""Task interaction measurement: what adding a target task does to the score of a source task."""
