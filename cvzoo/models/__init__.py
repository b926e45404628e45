"""The zoo's architectures."""

from cvzoo.models import dcnn, lenet, mnist, musicnet, radio, vgg, video
from cvzoo.models.registry import create_model, list_models, register_model
