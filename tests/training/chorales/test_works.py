"""The committed table: notices, clusters of melodies, splits."""

import collections
import dataclasses

import numpy as np
import pytest
import scipy.sparse.csgraph
from hypothesis import given
from hypothesis import strategies as st

from training.data import DamagedDataError
from training.data.chorales import clusters, scores, works

# Settings of one melody by their BWV numbers, from the catalogue.
MELODIES = {
    "Herzlich tut mich verlangen (O Haupt voll Blut und Wunden)": "135.6 153.5 161.6 "
    "244.15 244.17 244.44 244.54 244.62 248.5 248.64-6 270 271",
    "O Welt, ich muss dich lassen": "13.6 44.7 97.9 244.10 244.37 245.11 392 393 394",
    "Jesu, meine Freude": "64.8 81.7 87.7 227.1 227.3 227.7 227.11 358",
    "Werde munter, mein Gemüte": "55.5 146.8 154.3 244.40 359 360",
    "Wer nur den lieben Gott lässt walten": "84.5 88.7 93.7 166.6 179.6 197.10 434",
    "Freu dich sehr, o meine Seele": "19.7 25.6 30.6 32.6 39.7 70.7 194.6",
    "Christus, der ist mein Leben": "281 282",
    "Lobt Gott, ihr Christen, allzugleich": "151.5 195.6 375 376",
    "Von Gott will ich nicht lassen": "73.5 417 418 419",
    "Christus, der uns selig macht": "245.15 245.37 283",
    "Nun bitten wir den heiligen Geist": "169.7 197.5 385",
    "Nun komm, der Heiden Heiland": "36.8-2 62.6",
}


def melody(pitches, name="work"):
    """A score of one voice in quarter notes."""
    notes = [(place, 0, pitch, place + 1) for place, pitch in enumerate(pitches)]
    return scores.Score.of(name, notes, [], ["Soprano"])


def test_no_cluster_crosses_splits():
    splits = collections.defaultdict(set)
    for work in works.used():
        splits[work.cluster].add(work.split)
    assert all(len(found) == 1 for found in splits.values())


@pytest.mark.parametrize("numbers", MELODIES.values(), ids=MELODIES)
def test_settings_of_a_melody_are_in_one_cluster(numbers):
    found = {work.name: work.cluster for work in works.used()}
    assert len({found[f"bwv{number}"] for number in numbers.split()}) == 1


def test_other_melodies_are_in_other_clusters():
    found = {work.name: work.cluster for work in works.used()}
    firsts = [found[f"bwv{numbers.split()[0]}"] for numbers in MELODIES.values()]
    assert len(set(firsts)) == len(MELODIES)
    assert len({work.cluster for work in works.used()}) == 168


def test_splits_have_their_shares_of_the_works():
    counts = collections.Counter(work.split for work in works.used())
    assert counts == {"train": 287, "validation": 61, "test": 61}


def test_files_that_reserve_rights_are_not_used():
    notices = {work.file: work.notice for work in works.table()}
    reserved = {file for file, notice in notices.items() if notice == "reserved"}
    assert reserved == {"bwv277.krn", "bwv281.krn", "bwv366.krn"}
    left_out = {work.file for work in works.table()} - {w.file for w in works.used()}
    assert left_out == reserved | {"bwv846.mxl"}
    assert {work.notice for work in works.used()} == {"permission", "copyright", "none"}


def test_each_work_is_there_once():
    names = [work.name for work in works.used()]
    assert len(names) == len(set(names)) == 409


@pytest.mark.slow
def test_the_table_is_what_music21s_files_say(bach):
    assert works.judged() == works.table()


def test_a_written_table_is_read_again(tmp_path, monkeypatch):
    expected = works.table()
    monkeypatch.setattr(works, "TABLE", tmp_path / "works.csv")
    works.write(expected)
    works.table.cache_clear()
    assert works.table() == expected
    works.table.cache_clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<rights>Rights to all\n formats reserved</rights>", "reserved"),
        ("PDF © 2004 Margaret Greentree</x> <x>used by permission", "permission"),
        ("PDF ©2003 Margaret Greentree www.jsbchorales.net", "copyright"),
        ("<software>Finale</software>", "none"),
    ],
)
def test_notices_are_told_apart(tmp_path, text, expected):
    path = tmp_path / "score.xml"
    path.write_text(text, encoding="utf-8")
    assert works.notice(path) == expected


@pytest.mark.parametrize("text", ["© 1999 Somebody", "Licensed to you", "<rights>x<"])
def test_notices_that_nobody_has_read_are_not_passed_over(tmp_path, text):
    path = tmp_path / "score.xml"
    path.write_text(f"PDF © 2004 Margaret Greentree {text}", encoding="utf-8")
    with pytest.raises(ValueError, match="score.xml has a notice that is not known"):
        works.notice(path)


def test_melodies_are_the_same_in_any_key_and_with_passing_notes():
    random = np.random.default_rng(0)
    tune = np.cumsum(random.choice([-2, -1, 1, 2, 3], 40)) + 60
    other = np.cumsum(random.choice([-2, -1, 1, 2, 3], 40)) + 60
    plain = melody(tune)
    # An eighth note after each beat, a step above it.
    notes = [(place, 0, pitch, place + 0.5) for place, pitch in enumerate(tune)]
    notes += [
        (place + 0.5, 0, pitch + 1, place + 1) for place, pitch in enumerate(tune)
    ]
    ornamented = scores.Score.of("ornamented", notes, [], ["Soprano"])
    found = clusters.clusters([plain, melody(other), melody(tune + 5), ornamented])
    assert found == [[0, 2, 3], [1]]


def test_the_same_title_is_a_link_however_it_is_spelled():
    random = np.random.default_rng(2)
    tunes = [melody(np.cumsum(random.choice([-2, -1, 1, 2], 30))) for _ in range(5)]
    titles = ["Herr, straf’ mich nicht", "", "Herr straf mich nicht!", "", "Herr"]
    found = clusters.clusters(tunes, titles)
    assert found == [[0, 2], [1], [3], [4]]
    assert clusters.same(["Laß", "lass"]) == [(0, 1)]


def test_the_same_harmony_in_another_key_is_a_link():
    random = np.random.default_rng(1)
    bass, tenor = random.integers(40, 60, (2, 24))

    def harmonized(top, step):
        notes = [
            (place, voice, int(pitch) + step, place + 1)
            for voice, pitches in enumerate((top, tenor, bass))
            for place, pitch in enumerate(pitches)
        ]
        return scores.Score.of("work", notes, [], ["Soprano", "Tenor", "Bass"])

    # The sopranos double the lower voices, and so add no pitch class.
    found = clusters.clusters([harmonized(tenor + 24, 0), harmonized(bass + 24, 4)])
    assert found == [[0, 1]]
    assert clusters.clusters([melody(tenor), melody(bass)]) == [[0], [1]]


def test_a_few_chords_in_turn_are_no_link():
    def rocking(top):
        notes = [(place, 0, pitch, place + 1) for place, pitch in enumerate(top)]
        notes += [(place, 1, 36 + 7 * (place % 2), place + 1) for place in range(20)]
        return scores.Score.of("work", notes, [], ["Soprano", "Bass"])

    rising, falling = [60 + 12 * (p % 3) for p in range(20)], [72] * 20
    found = clusters.clusters([rocking(rising), rocking(falling)])
    assert found == [[0], [1]]


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))),
        )
    )
)
def test_clusters_are_connected_components(drawn):
    count, links = drawn
    matrix = np.zeros((count, count))
    for first, second in links:
        matrix[first, second] = 1
    _, labels = scipy.sparse.csgraph.connected_components(matrix, directed=False)
    found = clusters.union(count, links)
    assert sorted(np.concatenate(found)) == list(range(count))
    for group in found:
        assert {labels[place] for place in group} == {labels[group[0]]}
    assert len(found) == labels.max() + 1


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60))
def test_splits_are_at_most_their_shares(sizes):
    found = clusters.split(sizes)
    counts = collections.Counter()
    for size, name in zip(sizes, found, strict=True):
        counts[name] += size
    assert set(found) <= {"train", "validation", "test"}
    assert max(counts["validation"], counts["test"]) <= 0.15 * sum(sizes)
    assert found == clusters.split(sizes)


def test_a_work_has_the_name_of_its_file():
    assert works.Work("bwv66.6.mxl", "none").name == "bwv66.6"


def test_a_score_that_was_corrected_is_refused(tmp_path, monkeypatch):
    (work,) = [one for one in works.used() if one.file == "bwv281.mxl"]
    text = scores.text_of(scores.folder() / work.file)
    monkeypatch.setattr(scores, "folder", lambda: tmp_path)
    work = dataclasses.replace(work, file="bwv281.xml")
    (tmp_path / work.file).write_bytes(text)
    assert works.score(work).name == "bwv281"
    (tmp_path / work.file).write_bytes(text + b"\n")
    with pytest.raises(DamagedDataError, match="bwv281.*pip install music21=="):
        works.score(work)
