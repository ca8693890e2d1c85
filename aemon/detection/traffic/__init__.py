"""How records come: which entities send them, and how many come per time."""
