"""The operating state: which records show a machine at work, and are judged."""
