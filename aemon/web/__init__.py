"""The web server of the daemon: metrics, health, pages, an API, and routes for records."""
