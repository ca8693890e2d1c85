"""Records that programs send to the port of aemon."""
