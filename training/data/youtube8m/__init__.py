"""YouTube-8M: features of the frames of videos, and of their sound."""
