"""Finished runs of paper 2's image networks beside what the paper published."""
