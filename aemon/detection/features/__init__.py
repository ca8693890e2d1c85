"""From a frame's columns to features, and back."""
