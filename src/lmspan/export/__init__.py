"""Exporters of ended spans: to a file, to an OTLP endpoint, to the terminal."""
