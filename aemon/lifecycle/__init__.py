"""The life cycle of detectors: training, trial, promotion, recalibration, replacement."""
