"""Notifications: aemon itself sends episodes to receivers."""
