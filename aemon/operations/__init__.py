"""One function for every verb of the command line and the web API, with plain results."""
