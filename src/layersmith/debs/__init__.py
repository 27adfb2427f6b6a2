"""Debian's packages: what an archive has, who vouches for it, what is chosen, and their files."""
