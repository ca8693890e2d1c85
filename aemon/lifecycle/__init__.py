"""How detectors come and go: trained, tried, promoted, recalibrated, replaced."""
