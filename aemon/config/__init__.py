"""Configuration: one YAML file, validated into frozen settings."""
