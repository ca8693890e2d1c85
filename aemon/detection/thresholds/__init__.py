"""Thresholds: their calibration and recalibration, and a threshold for each entity."""
