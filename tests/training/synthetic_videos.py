"""Tiny recipes of networks of videos."""

from training import config as configs
from training import train

FRAMES = "video_classifier_dbof_audio_fc_dc_youtube8m"
MEANS = "dcnn_depth4_youtube8m"
CHORDS = "video_classifier_netvlad_fc_dc_chorale_chords"


def quick(name, **data):
    """A tiny recipe of synthetic videos."""
    config = train.quick(configs.get(name))
    config["data"] |= data
    return config
