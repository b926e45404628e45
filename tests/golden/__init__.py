"""Values of other libraries' code, and models that must give the same."""
