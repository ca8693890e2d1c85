"""Values of an OPC UA server as records."""
