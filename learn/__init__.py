"""Surrogates of unit cells: a variational autoencoder and property predictors."""
