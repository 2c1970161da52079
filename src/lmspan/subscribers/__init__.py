"""The engine behind callbacks: hooks are found, bound, ordered and called."""
