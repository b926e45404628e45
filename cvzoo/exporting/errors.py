"""What goes wrong with exports."""


class ExportError(RuntimeError):
    """An export that cannot be served, or gives other outputs than the model."""
