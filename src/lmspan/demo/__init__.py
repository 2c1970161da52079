"""`lmspan demo`: a DSPy program, and a local server that plays its model from a script."""
