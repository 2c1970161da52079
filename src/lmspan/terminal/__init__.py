"""Render traces for the terminal with rich."""
