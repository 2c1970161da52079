"""Where a call is: the current one, pools and processes, the instrumentations below."""
