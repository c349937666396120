"""Why a trained network says what it says, how far that can be trusted, and what would change it."""
