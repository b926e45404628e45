"""What a comparison found, for `cvzoo bench`: see `cvzoo.exporting.rivals`."""

import datetime
import os
import platform

from cvzoo.exporting.rivals import Rival, Rivals
from training import recipe_parts


def of_comparison(lines, rows_by_fold, config, data, command):
    """`Rivals` of a recipe's preset.

    Args:
        lines: Result of `results.summarize`.
        rows_by_fold: Its argument; networks are those of the first fold.
        config: The recipe.
        data: `examples.Data` of the recipe.
        command: What made the rows.
    """
    networks = {row.name: row.network for row in rows_by_fold[0]}
    kind = "fold" if hasattr(data.source, "FOLDS") else "seed"
    count = len(rows_by_fold)
    name = data.about["name"]
    return Rivals(
        preset=config["name"],
        metric=f"{recipe_parts.metric_words(config)}, test split of {name}",
        repetitions=f"{count} {kind}{'s' * (count > 1)}",
        command=command,
        hardware=f"{os.cpu_count()} CPU cores, {platform.machine()}",
        date=datetime.date.today().isoformat(),
        rows=[
            Rival(
                name=line.name,
                is_ours=line.group == "cvzoo",
                test=round(line.test, 2),
                error=None if line.error is None else round(line.error, 2),
                numbers=round(line.numbers),
                bytes=round(line.bytes),
                network=networks[line.name],
            )
            for line in lines
        ],
    )
