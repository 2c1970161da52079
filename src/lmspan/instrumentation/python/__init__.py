"""Plain Python as a source: decorators, `operation()` and `add_event()`."""
