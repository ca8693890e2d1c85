"""The search for settings without labels, by planted anomalies."""
