"""The table of works: what they say of rights, which share a melody, which are used.

`works.csv` is committed, a line for each of music21's files of Bach, and this command
writes it anew:

    python -m training.data.chorales

Columns: `file`; `notice`, what the file itself says of rights; `cluster` and `split`,
both empty for files that are not used; `digest`, of the text of the score, so that a
release of music21 that corrects one does not change the data unnoticed. Notices are

- `permission`: "PDF © 2004 Margaret Greentree - used by permission";
- `copyright`: the same line with the address of her site, jsbchorales.net, in place of
  the permission;
- `none`: the file says nothing;
- `reserved`: "Rights to all derivative electronic formats reserved".

music21 says of all its scores that they are "distributed with the permission of the
encoders", and names no licence of these. Not used are: files that reserve rights; a
second encoding of a work (the same three files, as it happens); and what is no chorale,
the prelude BWV 846, of unknown licence.
"""

import csv
import dataclasses
import functools
import hashlib
import re
from pathlib import Path

from training.data import DamagedDataError
from training.data.chorales import clusters, scores

TABLE = Path(__file__).with_name("works.csv")
_COLUMNS = ("file", "notice", "cluster", "split", "digest")
_RELEASE = "music21==10.5.1"
_NOT_CHORALES = ("bwv846.mxl",)
_SUFFIXES = (".mxl", ".xml", ".krn")


@dataclasses.dataclass(frozen=True)
class Work:
    """A line of the table.

    Attributes:
        file: Name of music21's file.
        notice: What it says of rights; see above.
        cluster: Name of the cluster of melodies, that of its first work; `""` for files
            that are not used.
        split: `"train"`, `"validation"`, `"test"` or `""`.
        digest: The first 16 hexadecimal digits of the SHA-256 of its text; `""` for
            any.
    """

    file: str
    notice: str
    cluster: str = ""
    split: str = ""
    digest: str = ""

    @property
    def name(self):
        """The file's name without its ending."""
        return self.file.rpartition(".")[0]


@functools.cache
def table():
    """All works of the table, used or not, in its order."""
    with open(TABLE, encoding="utf-8", newline="") as file:
        return tuple(Work(**row) for row in csv.DictReader(file))


def used():
    """The works that are rendered."""
    return tuple(work for work in table() if work.cluster)


def score(work):
    """The score of a work, as `scores.read` returns it.

    Raises:
        DamagedDataError: music21's file is missing, is none, or is another one than the
            data set was made of.
    """
    path = scores.folder() / work.file
    found = scores.read(path)
    if work.digest not in ("", digest(path)):
        raise DamagedDataError(
            f"{path} is not the score that this data set is made of, whose digest is "
            f"{work.digest}; this one's is {digest(path)}. Install the release that "
            f"has it: `pip install {_RELEASE}`."
        )
    return found


def digest(path):
    """Of the text of a score, see `Work`."""
    return hashlib.sha256(scores.text_of(path)).hexdigest()[:16]


def notice(path):
    """What a file says of rights: a key of the list above.

    Raises:
        ValueError: It says something that nobody has judged yet.
    """
    text = scores.text_of(path).decode("utf-8", errors="replace")
    if re.search(r"rights\b.{0,60}\breserved", text, re.IGNORECASE | re.DOTALL):
        return "reserved"
    said = re.search(r"PDF © ?200[34] Margaret Greentree", text)
    others = re.sub(r"PDF © ?200[34] Margaret Greentree", "", text)
    if re.search(r"©|copyright|licen[sc]e|<rights", others, re.IGNORECASE):
        raise ValueError(f"{path} has a notice that is not known. Read it.")
    if not said:
        return "none"
    return "permission" if "used by permission" in text else "copyright"


def judged():
    """The table as it should be, from the files that music21 has; takes a minute."""
    paths = sorted(
        path for path in scores.folder().iterdir() if path.suffix in _SUFFIXES
    )
    notices = {path: notice(path) for path in paths}
    kept = [path for path in paths if _is_used(path, notices[path])]
    known = _titles()
    groups = clusters.clusters(
        [scores.read(path) for path in kept],
        [known.get(path.stem, "") for path in kept],
    )
    splits = clusters.split([len(group) for group in groups])
    places = {}
    for group, split in zip(groups, splits, strict=True):
        for place in group:
            places[kept[place]] = (kept[group[0]].stem, split)
    return tuple(
        Work(path.name, notices[path], *places.get(path, ("", "")), digest(path))
        for path in paths
    )


def _titles():
    """Name of a work → its title, of the works that music21's lists have."""
    from music21.corpus import chorales

    rows = [
        *chorales.ChoraleList().byBWV.values(),
        *chorales.ChoraleListRKBWV().byBWV.values(),
    ]
    return {f"bwv{row['bwv']}": row["title"] for row in rows}


def _is_used(path, said):
    return said != "reserved" and path.name not in _NOT_CHORALES


def write(works):
    """Writes the table."""
    with open(TABLE, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(dataclasses.asdict(work) for work in works)
