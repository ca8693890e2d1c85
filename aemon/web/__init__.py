"""What the daemon serves: metrics, health, and a status page."""
