"""Plain checks beside the model: constants, ranges, firsts, pairs, frozen sensors."""
