"""The output models: plain frozen data, and their JSON Schemas."""
