"""Plain checks in addition to the autoencoder, for example for constants and frozen sensors."""
