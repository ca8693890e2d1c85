"""Commands about what was found, and what people say about it."""
