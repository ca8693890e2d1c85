"""How people are told: Prometheus rules, and what a message to each kind of receiver looks like."""
