"""`lmspan demo`: a DSPy program worth looking at, and a scripted local server for who has no model at hand."""
