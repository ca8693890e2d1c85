"""Learning what is normal and judging records against it: pure computation, no I/O."""
