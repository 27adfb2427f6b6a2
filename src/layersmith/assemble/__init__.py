"""Where the pieces meet: inputs -> plan -> layer -> delivery."""
