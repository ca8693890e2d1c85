"""The operations: one function for each verb of the command line and the web API."""
