"""Figures as ratios of one run: ours, the physical floor, and peers that are here."""
