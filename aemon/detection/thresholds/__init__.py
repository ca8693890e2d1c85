"""Thresholds: calibration, recalibration, one for each entity."""
