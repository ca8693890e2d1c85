"""Messages of a Kafka cluster as records."""
