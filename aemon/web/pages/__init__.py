"""The web pages for people: routes that read a request, call an operation, and fill a template."""
