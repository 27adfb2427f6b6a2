"""What is said about images: SBOMs, provenance, signatures."""
