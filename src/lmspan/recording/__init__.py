"""The recorder, and what it counts: the only wing that starts, annotates or ends spans."""
