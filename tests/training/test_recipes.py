"""The names of recipes that the package has."""

from cvzoo import catalogue, recipes
from training import config as configs
from training.recipes import packaged


def test_the_package_has_the_names_of_all_recipes():
    text = recipes.FILE.read_text(encoding="utf-8")
    assert text == packaged(), "run `python -m training.recipes --write`"
    assert set(recipes.by_name()) == set(configs.names())


def test_shipped_presets_have_the_data_set_and_field_of_their_recipe():
    for row in catalogue.list_presets():
        recipe = recipes.by_name()[row.name]
        assert (row.dataset, row.field) == (recipe.dataset, recipe.field)
