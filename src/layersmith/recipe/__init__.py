"""What the user asked for: targets and recipes."""
