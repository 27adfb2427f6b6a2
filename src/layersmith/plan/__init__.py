"""Everything decided, nothing done: which entries a layer gets, and why."""
