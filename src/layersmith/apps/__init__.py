"""Python applications: what a lock asks for, which wheels fit, and where their files go."""
