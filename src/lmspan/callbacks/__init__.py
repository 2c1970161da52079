"""Subscribers: callbacks of other systems, as span processors. Import `subscribe` and its like from `lmspan`."""
