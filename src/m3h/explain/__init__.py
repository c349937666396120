"""What a trained network says about itself."""
