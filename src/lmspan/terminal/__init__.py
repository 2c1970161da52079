"""Traces in the terminal, as rich renderables."""
