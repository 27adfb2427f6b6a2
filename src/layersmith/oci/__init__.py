"""The vocabulary of image-spec and distribution-spec."""
