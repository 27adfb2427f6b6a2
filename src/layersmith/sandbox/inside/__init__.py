"""Programs for the image's own Python: any release of it, with nothing but its library."""
