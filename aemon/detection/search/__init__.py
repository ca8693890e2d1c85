"""The search for good settings without labels: planted anomalies take the place of labels."""
