"""Dense layers whose matrices have few numbers: what circulant ones compete with."""
