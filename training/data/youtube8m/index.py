"""The index of YouTube-8M's shards: all that is written, for they are read in place."""

import collections
import contextlib
import dataclasses
import json
import os
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from training import workers
from training.data import DamagedDataError, DataError, MissingDataError
from training.data.youtube8m import shards
from training.data.youtube8m.checking import Shard, check

_VERSION = 1
# Fewer bytes are read sooner than processes for them have begun.
_SMALL = 64 * 2**20
# Bad shards that a summary names; the index has all of them.
_NAMED = 10
COMMAND = "python -m training.prepare youtube8m --manual-dir DIR [--data-dir DIR]"


@dataclasses.dataclass(frozen=True)
class Index:
    """What is known of all shards.

    Attributes:
        folder: Folder of the shards.
        shards: Of `checking.Shard`.
    """

    folder: Path
    shards: tuple

    @classmethod
    def open(cls, path):
        """That of a file.

        Raises:
            MissingDataError: There is none.
            DamagedDataError: It cannot be read.
        """
        path = Path(path)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["version"] != _VERSION:
                raise ValueError(f"it has version {found['version']}, not {_VERSION}")
            entries = tuple(map(Shard.of, found["shards"]))
            return cls(Path(found["folder"]), entries)
        except FileNotFoundError as error:
            raise MissingDataError(
                f"The data set 'youtube8m' is not here: there is no {path}. "
                f"{shards.INSTRUCTIONS}; then run `{COMMAND}` once, which leaves them "
                "where they are. Where --data-dir is given, commands that read the set "
                "need TFDS_DATA_DIR=DIR."
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedDataError(
                f"{path} is damaged: {error}. Delete it, and run `{COMMAND}` again."
            ) from error

    def save(self, path):
        """Writes it to a file, whole or not at all."""
        entries = [dataclasses.asdict(shard) for shard in self.shards]
        text = json.dumps(
            {"version": _VERSION, "folder": str(self.folder), "shards": entries},
            indent=0,
        )
        aside = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            aside.write_text(text + "\n", encoding="utf-8")
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)

    def chosen(self, split, level):
        """The shards of a split that have videos to read; all are as they were.

        Raises:
            MissingDataError: There are none.
            DamagedDataError: The index does not fit its files any more.
        """
        found = [one for one in self.shards if self._is_in(one, split, level)]
        self._check_sizes(found)
        used = [one for one in found if one.videos]
        if not used:
            bad = f" All {len(found)} are bad." if found else ""
            raise MissingDataError(
                f"Of YouTube-8M's {split!r} data at level {level!r} there is no shard "
                f"to read, of {len(self.shards)} in {self.folder}. Expected: "
                f"{shards.sought(split, level)}.{bad} {shards.INSTRUCTIONS}; then run "
                f"`{COMMAND}` again."
            )
        return used

    def _is_in(self, shard, split, level):
        name = shards.Name.read(Path(shard.path).name)
        return shard.level == level and name.is_in(split, level)

    def _check_sizes(self, found):
        wrong = []
        for shard in found:
            size = _size(self.folder / shard.path)
            if size is None:
                wrong.append(f"{shard.path} is missing")
            elif size != shard.bytes:
                wrong.append(
                    f"{shard.path} has {size:,} bytes, and had {shard.bytes:,}"
                )
        if wrong:
            raise DamagedDataError(
                f"The index of YouTube-8M does not fit {len(wrong)} of {len(found)} "
                f"shards in {self.folder}. The first: {wrong[0]}. Put them back, or "
                f"run `{COMMAND}` again, with the folder where they are; it looks "
                "through those that changed."
            )


def _size(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def make(path, folder):
    """Looks through all shards of a folder and writes the index.

    What was done is kept beside it after each shard: once stopped, the same call goes
    on. Shards of an index that is there are not read again, unless their size or time
    is another one.

    Args:
        path: File to write.
        folder: Folder of the shards, at any depth.

    Returns:
        `Index`.

    Raises:
        MissingDataError: No shards.
        DamagedDataError: A shard has other features, or one is there twice.
        DataError: The index could not be written.
    """
    folder, path = Path(folder).expanduser().absolute(), Path(path)
    paths = shards.find(folder)
    done_file = path.with_name(f"{path.name}.done")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        known = _known(path, done_file)
        keys = {place: _key(folder, place) for place in paths}
        done = {place: known[key] for place, key in keys.items() if key in known}
        missing = [place for place in paths if place not in done]
        done |= {one["path"]: one for one in _checked(folder, missing, done_file)}
        index = Index(folder, tuple(Shard.of(done[place]) for place in paths))
        _check_unique(index)
        index.save(path)
        done_file.unlink(missing_ok=True)
    except (OSError, BrokenProcessPool) as error:
        raise DataError(
            f"The index of YouTube-8M could not be written to {path}: {error}. Once "
            "that is put right, start the same command again; shards that were looked "
            "through are not read again."
        ) from error
    return index


def _key(folder, place):
    """What must be the same for a shard not to be read again."""
    stat = (folder / place).stat()
    return place, stat.st_size, stat.st_mtime_ns


def _known(path, done_file):
    """Entries of an index and of one that was begun, by their `_key`."""
    known = []
    with contextlib.suppress(DataError):  # It is written anew.
        known += [dataclasses.asdict(shard) for shard in Index.open(path).shards]
    lines = done_file.read_text(encoding="utf-8") if done_file.exists() else ""
    for line in lines.splitlines():
        # The last one may be cut off, where the process was killed.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            known.append(dataclasses.asdict(Shard.of(json.loads(line))))
    # Those that could not be read may be readable by now; they have no checksum.
    known = [one for one in known if one["sha256"]]
    return {(one["path"], one["bytes"], one["modified"]): one for one in known}


def _checked(folder, paths, done_file):
    """Entries of shards that are read now; each is written down at once."""
    with open(done_file, "a", encoding="utf-8") as file:
        # A line that was not written to its end.
        file.write("\n")

        def keep(entry):
            file.write(json.dumps(entry) + "\n")
            file.flush()
            return entry

        if sum((folder / place).stat().st_size for place in paths) <= _SMALL:
            return [keep(check(folder, place)) for place in paths]
        with workers.pool() as pool:
            jobs = [pool.submit(check, folder, place) for place in paths]
            for job in jobs:
                job.add_done_callback(lambda job: _keep_result(job, keep))
            return workers.wait(jobs, f"looking through {len(jobs)} shards")


def _keep_result(job, keep):
    if not job.cancelled() and job.exception() is None:
        keep(job.result())


def _check_unique(index):
    """Raises where videos would be read twice."""
    first = {}
    for shard in index.shards:
        name = shards.Name.read(Path(shard.path).name)
        key = (shard.level, name.partition, name.number)
        other = first.setdefault(key, shard)
        if other is not shard:
            raise DamagedDataError(
                f"{shard.path} and {other.path} in {index.folder} are the same shard "
                f"of level {shard.level!r}, and its videos would be read twice. Move "
                "one of the downloads out of the folder."
            )


def summary(index):
    """What is there and what is wrong with it, as lines of text."""
    lines = [f"Shards in {index.folder}:"]
    groups = collections.defaultdict(list)
    for shard in index.shards:
        partition = shards.Name.read(Path(shard.path).name).partition
        groups[shard.level, partition].append(shard)
    for (level, partition), group in sorted(groups.items()):
        lines.append(
            f"  {level} level, {partition}: {len(group):,} of {shards.COUNT:,} shards, "
            f"{sum(one.bytes for one in group) / 2**30:,.2f} GiB, "
            f"{sum(one.videos for one in group):,} videos, "
            f"{sum(one.frames for one in group):,} frames, "
            f"{sum(one.segments for one in group):,} segments"
        )
    return lines + _problems(index.shards) + _bad(index.shards)


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
    lines = [f"  {len(bad)} bad shards, of which what comes before the damage is read:"]
    lines += [
        f"    {shard.path}: {shard.videos:,} videos, then {shard.damage}"
        for shard in bad[:_NAMED]
    ]
    more = len(bad) - _NAMED
    return lines + ([f"    and {more} more, in the index"] if more > 0 else [])
