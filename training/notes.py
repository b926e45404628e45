"""What presets tell people of their data and their recipe."""

from cvzoo import recipes

# Of networks that are trained here, and of the code that trains them.
LICENCE = "Apache-2.0"
_OF_INPUTS = ("inputs", "range", "sample_rate")


def of_data(about):
    """Arguments of `save_preset`, from what a data set tells of itself (`ABOUT`)."""
    return {
        "data": {key: one for key, one in about.items() if key not in _OF_INPUTS},
        "inputs": {
            "meaning": about["inputs"],
            "range": about.get("range"),
            "sample_rate": about.get("sample_rate"),
        },
    }


def of_recipe(config):
    """Arguments of `save_preset`, from a recipe."""
    return {"licence": LICENCE, "command": recipes.command(config["name"])}
