"""The engine behind callbacks: it detects, binds, orders and calls hooks."""
