"""Records of the machine on which aemon runs."""
