"""The demo: a simulated plant with planted faults, watched by the ordinary daemon."""
