"""Learns what is normal, and judges records; the package only computes, without input or output."""
