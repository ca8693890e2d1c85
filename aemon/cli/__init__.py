"""The command line: each command builds objects and calls one function."""
