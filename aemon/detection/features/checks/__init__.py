"""Plain checks in addition to the autoencoder: constants, ranges, firsts, pairs, frozen sensors."""
