"""The names that the documents of five callback systems import. `subscribe` and `subscribed` are in `lmspan`."""
