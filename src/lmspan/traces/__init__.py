"""Stored traces: read the files of the file sink, and any other OTLP JSON lines."""
