"""What the tests of MusicNet's files share."""

# At 11 kHz these are a window of 4096 samples, and one sample fewer.
ENOUGH, TOO_FEW = 16_422, 16_421
NAMES = ("1727", "2303", "2131")


def names(recordings):
    return [one.name for one in recordings]
