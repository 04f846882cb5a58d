"""Robust design of unit cells in the latent space of a surrogate."""
