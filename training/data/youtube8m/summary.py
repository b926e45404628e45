"""What an index of YouTube-8M's shards says, in words."""

import collections
import dataclasses
from pathlib import Path

from training.data.youtube8m import shards

# Bad shards that are named; the index has all of them.
_NAMED = 10


def lines(index):
    """What is there and what is wrong with it, as lines of text."""
    found = [f"Shards in {index.folder}:"]
    groups = collections.defaultdict(list)
    for shard in index.shards:
        partition = shards.Name.read(Path(shard.path).name).partition
        groups[shard.level, partition].append(shard)
    for (level, partition), group in sorted(groups.items()):
        found.append(
            f"  {level} level, {partition}: {len(group):,} of {shards.COUNT:,} shards, "
            f"{sum(one.bytes for one in group) / 2**30:,.2f} GiB, "
            f"{sum(one.videos for one in group):,} videos, "
            f"{sum(one.frames for one in group):,} frames, "
            f"{sum(one.segments for one in group):,} segments"
        )
    return found + _problems(index.shards) + _bad(index.shards)


def _problems(found):
    """Lines about what is used in spite of what is wrong with it."""
    counts = collections.Counter()
    for shard in found:
        for name, number in dataclasses.asdict(shard.problems).items():
            if isinstance(number, dict):
                counts.update({f"{name}, of {key}": n for key, n in number.items()})
            else:
                counts[name] += number
    words = [f"{name.replace('_', ' ')}: {n:,}" for name, n in counts.items() if n]
    return [f"  Problems: {'; '.join(words)}"] if words else []


def _bad(found):
    """Lines about shards that are not read to their end."""
    bad = [shard for shard in found if shard.damage]
    if not bad:
        return []
    named = [f"  {len(bad)} bad shards, of which what comes before the damage is read:"]
    named += [
        f"    {shard.path}: {shard.videos:,} videos, then {shard.damage}"
        for shard in bad[:_NAMED]
    ]
    more = len(bad) - _NAMED
    return named + ([f"    and {more} more, in the index"] if more > 0 else [])
