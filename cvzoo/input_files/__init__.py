"""Files of users, read as networks take them: sound, radio signals, images."""


class InputFileError(ValueError):
    """A file that cannot be read, or a network that takes no such files."""
