"""Training, evaluation and baselines of the zoo, from a checkout."""
