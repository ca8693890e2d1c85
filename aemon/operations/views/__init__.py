"""The contents of the web pages, without HTML and HTTP."""
