"""How people are told: what a message looks like to each kind of receiver, and how it is sent."""
