"""Messages of an MQTT broker as records."""
