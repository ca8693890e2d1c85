"""The life of detectors: training, trial, promotion, recalibration, replacement."""
