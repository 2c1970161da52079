"""The local web page: a view on stored traces in a browser, and the server that only this machine's user can reach."""
