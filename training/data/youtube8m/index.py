"""The index of YouTube-8M's shards: all that is written, for they are read in place."""

import contextlib
import dataclasses
import datetime
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
# Nanoseconds between times that are the same one: some file systems and programs that
# copy round them to microseconds, or to a float of seconds.
_ROUNDING = 2000
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
        found = [one for one in self.shards if _is_in(one, split, level)]
        self._check_files(found)
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

    def _check_files(self, found):
        wrong = [(one, _difference(self.folder, one)) for one in found]
        wrong = [f"{one.path} {difference}" for one, difference in wrong if difference]
        if wrong:
            raise DamagedDataError(
                f"The index of YouTube-8M does not fit {len(wrong)} of {len(found)} "
                f"shards in {self.folder}. The first: {wrong[0]}. Put them back, or "
                f"run `{COMMAND}` again, with the folder where they are; it looks "
                "through those that changed. A copy with other times is told by its "
                "checksums, and not looked through."
            )


def _is_in(shard, split, level):
    name = shards.Name.read(Path(shard.path).name)
    return shard.level == level and name.is_in(split, level)


def _difference(folder, shard):
    """What is not as it was, in words; nothing where all is."""
    try:
        stat = (folder / shard.path).stat()
    except FileNotFoundError:
        return "is missing"
    if stat.st_size != shard.bytes:
        return f"has {stat.st_size:,} bytes, and had {shard.bytes:,}"
    if not _is_same_time(stat.st_mtime_ns, shard.modified):
        now, then = (
            datetime.datetime.fromtimestamp(time / 10**9)
            for time in (stat.st_mtime_ns, shard.modified)
        )
        return f"has its size still, but was written on {now}, and before on {then}"
    return ""


def _is_same_time(one, other):
    return abs(one - other) < _ROUNDING


def make(path, folder):
    """Looks through all shards of a folder and writes the index.

    What was done is kept beside it after each shard: once stopped, the same call goes
    on. Shards of an index that is there are not read again, unless their size or time
    is another one; where only the time is, their checksum tells.

    Args:
        path: File to write.
        folder: Folder of the shards, at any depth.

    Returns:
        `Index`.

    Raises:
        MissingDataError: No shards.
        DamagedDataError: All shards of a level have features of another width, or one
            is there twice.
        DataError: The index could not be written.
    """
    folder, path = Path(folder).expanduser().absolute(), Path(path)
    paths = shards.find(folder)
    done_file = path.with_name(f"{path.name}.done")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        known = _known(path, done_file)
        missing = [place for place in paths if not _fits(folder, known.get(place))]
        known |= {
            one["path"]: one for one in _checked(folder, missing, known, done_file)
        }
        index = Index(folder, tuple(Shard.of(known[place]) for place in paths))
        _check_widths(index)
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


def _fits(folder, entry):
    """Whether there is an entry, of a file that is as it was."""
    return entry is not None and not _difference(folder, Shard.of(entry))


def _known(path, done_file):
    """Path → entry of an index, and of one that was begun after it."""
    known = []
    with contextlib.suppress(DataError):  # It is written anew.
        known += [dataclasses.asdict(shard) for shard in Index.open(path).shards]
    lines = done_file.read_text(encoding="utf-8") if done_file.exists() else ""
    for line in lines.splitlines():
        # The last one may be cut off, where the process was killed.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            known.append(dataclasses.asdict(Shard.of(json.loads(line))))
    # Those that could not be read may be readable by now; they have no checksum.
    return {one["path"]: one for one in known if one["sha256"]}


def _checked(folder, paths, known, done_file):
    """Entries of shards that are read now; each is written down at once."""
    jobs = [(folder, place, known.get(place)) for place in paths]
    with open(done_file, "a", encoding="utf-8") as file:
        # A line that was not written to its end.
        file.write("\n")

        def keep(entry):
            file.write(json.dumps(entry) + "\n")
            file.flush()
            return entry

        if sum((folder / place).stat().st_size for place in paths) <= _SMALL:
            return [keep(check(*job)) for job in jobs]
        with workers.pool() as pool:
            jobs = [pool.submit(check, *job) for job in jobs]
            for job in jobs:
                job.add_done_callback(lambda job: _keep_result(job, keep))
            return workers.wait(jobs, f"looking through {len(jobs)} shards")


def _keep_result(job, keep):
    if not job.cancelled() and job.exception() is None:
        keep(job.result())


def _check_widths(index):
    """Raises where all of a level is another data set."""
    foreign = [shard for shard in index.shards if shard.is_foreign]
    known = {shard.level for shard in index.shards if shard.videos}
    first = next((shard for shard in foreign if shard.level not in known), None)
    if first is not None:
        raise DamagedDataError(
            f"{index.folder / first.path} is no shard of YouTube-8M: {first.damage}. "
            f"Nor is any other of level {first.level!r} in {index.folder}. Move them "
            "out of the folder, or give another one as --manual-dir."
        )


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
