"""Notifications: episodes are sent to receivers by aemon itself."""
