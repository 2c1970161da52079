"""Subscribers that carry ended spans away: to a file, to an OTLP endpoint, to the terminal."""
