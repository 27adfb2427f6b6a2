"""Trees, layers and tar, without an operating system."""
