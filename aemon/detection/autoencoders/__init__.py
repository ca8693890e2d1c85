"""Autoencoders: the network, its training set and its training."""
