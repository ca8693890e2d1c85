"""`aemon doctor`: checks of the host, the store and the monitors."""
