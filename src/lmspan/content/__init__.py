"""Content: which part of a payload a span may carry, and what is never recorded."""
