"""Reports: what a monitor watched in a period, what it found, and whether it kept its promise."""
