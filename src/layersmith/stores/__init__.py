"""Places that hold images: registries, layouts, the cache."""
