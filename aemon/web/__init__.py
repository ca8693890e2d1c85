"""The web server of the daemon: metrics, health, a status page, and routes for records."""
