"""The operating state: the records of a working machine, which are judged."""
