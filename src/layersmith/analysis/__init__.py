"""What a file needs and who provides it, read statically."""
