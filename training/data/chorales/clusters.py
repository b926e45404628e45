"""Which chorales share a melody or a harmony, and so must share a split.

Bach set many melodies several times, in other keys and metres and with other passing
notes. Two works are linked when one of these holds, and what links connect, over
however many works, is a cluster:

- of the 8-grams of intervals of the soprano, those that both have are at least 1/2 of
  the shorter one's;
- the same with the soprano as it is on the beats, notes that stay left out, and at
  least 1/6: passing notes do not hide a melody;
- both have the same eight chord trigrams in a row, that is, ten chords on ten beats, in
  any key, four of them different at least;
- both have the same title: a melody in another metre shares few runs.

All are the same in any key. The limits were set by reading the links: near them many
are between melodies that have a phrase in common only, and some between melodies of one
title that are others. A link too many does no harm.

Reference for melodies: their names in the Bach-Werke-Verzeichnis, some in the tests.
"""

import collections
import itertools

import numpy as np

GRAM = 8
SHARED, SHARED_ON_BEATS = 1 / 2, 1 / 6
CHORDS, DISTINCT_CHORDS = 10, 4
# Shares of the works, in whole clusters; the rest is for training.
TEST, VALIDATION = 0.15, 0.15
SEED = 0


def soprano(score):
    """`(begins, ends, pitches)` of the voice of that name, or else the first."""
    named = [name.lower().startswith("soprano") for name in score.voice_names]
    return score.voice(named.index(True) if any(named) else 0)


def intervals(score):
    """Steps of the soprano, in semitones."""
    _, _, pitches = soprano(score)
    return np.diff(pitches).tolist()


def beat_intervals(score):
    """Steps of the soprano from beat to beat, those of 0 left out."""
    begins, ends, pitches = soprano(score)
    beats = np.arange(np.ceil(begins.min()), ends.max())
    last = np.searchsorted(begins, beats, side="right") - 1
    steps = np.diff(pitches[last[beats < ends[last]]])
    return steps[steps != 0].tolist()


def chords(score):
    """What sounds on each beat: bass and all pitch classes, or `None` in silence."""
    beats = np.arange(score.ends.max())
    sounding = (score.begins <= beats[:, None]) & (beats[:, None] < score.ends)
    found = []
    for is_on in sounding:
        pitches = score.pitches[is_on]
        found.append((pitches.min() % 12, set(pitches % 12)) if len(pitches) else None)
    return found


def chord_runs(score):
    """Runs of ten chords, counted from the first one's bass, that say something."""
    found = set()
    every = chords(score)
    for run in (every[i : i + CHORDS] for i in range(len(every) - CHORDS + 1)):
        if None not in run:
            first, _ = run[0]
            key = tuple(
                tuple(sorted((pitch - first) % 12 for pitch in chord))
                for _, chord in run
            )
            if len(set(key)) >= DISTINCT_CHORDS:
                found.add(key)
    return found


def grams(steps):
    """All runs of eight steps."""
    return {tuple(steps[i : i + GRAM]) for i in range(len(steps) - GRAM + 1)}


def linked(sets, share):
    """Pairs of places of sets that have a share of the smaller one in common."""
    having = collections.defaultdict(list)
    for place, one in enumerate(sets):
        for gram in one:
            having[gram].append(place)
    common = collections.Counter(
        pair
        for places in having.values()
        for pair in itertools.combinations(sorted(places), 2)
    )
    return [
        (first, second)
        for (first, second), count in common.items()
        if count >= share * min(len(sets[first]), len(sets[second]))
    ]


def same(titles):
    """Pairs of places with the same title, whatever its spelling; `""` is none."""
    having = collections.defaultdict(list)
    for place, title in enumerate(titles):
        plain = "".join(filter(str.isalpha, title.lower())).replace("ß", "ss")
        if plain:
            having[plain].append(place)
    return [
        pair for places in having.values() for pair in itertools.combinations(places, 2)
    ]


def clusters(scores, titles=()):
    """Places of scores, those of a cluster together, by the first of each.

    Args:
        scores: The scores.
        titles: Title of each; `""` where it is not known.
    """
    links = linked([grams(intervals(score)) for score in scores], SHARED)
    links += linked([grams(beat_intervals(score)) for score in scores], SHARED_ON_BEATS)
    # One run in common is enough.
    links += linked([chord_runs(score) for score in scores], 0)
    links += same(titles)
    return union(len(scores), links)


def union(count, links):
    """Components of the graph of `count` places and links, by their first place."""
    roots = list(range(count))

    def root(place):
        while roots[place] != place:
            place = roots[place]
        return place

    for first, second in links:
        low, high = sorted((root(first), root(second)))
        roots[high] = low
    found = collections.defaultdict(list)
    for place in range(count):
        found[root(place)].append(place)
    return list(found.values())


def split(sizes):
    """`"train"`, `"validation"` or `"test"` for each cluster, of sizes in works.

    In an order that is drawn once, clusters go to test until none fits any more, then
    to validation, and the rest to training.
    """
    free = {"test": TEST * sum(sizes), "validation": VALIDATION * sum(sizes)}
    found = ["train"] * len(sizes)
    for place in np.random.default_rng(SEED).permutation(len(sizes)):
        for name in free:
            if sizes[place] <= free[name]:
                found[place] = name
                free[name] -= sizes[place]
                break
    return found
