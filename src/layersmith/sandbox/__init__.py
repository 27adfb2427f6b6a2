"""Running what is in an image, shut off from the host: no daemon, no root."""
