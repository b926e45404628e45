"""Presets that someone made to do harm: none is loaded, and none does any."""
