"""A session: `init()` starts one, and what was before it."""
