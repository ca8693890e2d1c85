"""The operating state: only records of a working machine are judged."""
