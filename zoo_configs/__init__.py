"""Recipes: one pure-data file per family of networks."""
