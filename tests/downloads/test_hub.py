"""Presets of the Hugging Face Hub: `huggingface_hub` against a server of our own."""

import json
import sys

import pytest

from cvzoo import downloads, preset_files
from cvzoo.preset_files import PresetError
from tests.downloads.servers import NAME, contents, hang_up, redirect, send

huggingface_hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")

REPOSITORY = f"me/{NAME}"
COMMITS = ("a" * 40, "b" * 40)


class Hub:
    """What the Hub knows: revisions, and the files of each commit."""

    def __init__(self, server):
        self.server = server

    def answer(self, change):
        """Changes what is said of the repository: `change(answer)`, in place."""
        path = f"/api/models/{REPOSITORY}?blobs=true"
        said = json.loads(self.server.answers[path])
        change(said)
        self.server.answers[path] = json.dumps(said).encode()

    def publish(self, folder, commit, revisions=("main",), start="", also=()):
        """Serves a folder as the Hub does a repository, and what else lies in it."""
        files = {start + name: data for name, data in contents(folder).items()}
        files |= dict.fromkeys((".gitattributes", "model.pkl", *also), b"not asked for")
        siblings = [
            {"rfilename": name, "size": len(data), "blobId": "c" * 40}
            for name, data in files.items()
        ]
        answer = {"id": REPOSITORY, "sha": commit, "siblings": siblings}
        for revision in (*revisions, commit):
            path = f"/api/models/{REPOSITORY}/revision/{revision}?blobs=true"
            self.server.answers[path] = json.dumps(answer).encode()
        main = f"/api/models/{REPOSITORY}?blobs=true"
        self.server.answers[main] = json.dumps(answer).encode()
        for name, data in files.items():
            self.server.answers[f"/{REPOSITORY}/resolve/{commit}/{name}"] = data


@pytest.fixture
def hub(server, monkeypatch):
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    yield Hub(server)
    huggingface_hub.close_session()


def test_only_the_five_files_of_a_repository_are_fetched(server, hub, folder, left):
    hub.publish(folder, COMMITS[0])
    found = downloads.folder_of(f"hf://{REPOSITORY}")
    assert contents(found) == contents(folder)
    assert not any(path.is_symlink() for path in found.iterdir())
    names = {path.rsplit("/", 1)[1] for path in server.paths() if "resolve" in path}
    assert names == set(contents(folder))
    assert {path.name for path in left()} == {*contents(folder), "record.json"}
    asked = [headers for path, headers in server.asked if REPOSITORY in path]
    tokens = [{k.lower(): v for k, v in one.items()}["authorization"] for one in asked]
    assert tokens == ["Bearer hf_secret"] * 6


def test_a_folder_of_a_repository_at_a_revision(hub, folder):
    hub.publish(folder, COMMITS[1], ("v1",), start=f"zoo/{NAME}/", also=["README.md"])
    found = downloads.folder_of(f"hf://{REPOSITORY}/zoo/{NAME}@v1")
    assert contents(found) == contents(folder)


@pytest.mark.parametrize(("revision", "again"), [(f"@{COMMITS[0]}", 0), ("", 2)])
def test_a_branch_is_asked_for_again_and_a_commit_not(
    server, hub, folder, revision, again
):
    hub.publish(folder, COMMITS[0])
    first = downloads.folder_of(f"hf://{REPOSITORY}{revision}")
    asked = len(server.asked)
    assert downloads.folder_of(f"hf://{REPOSITORY}{revision}") == first
    assert len(server.asked) - asked == again


def test_another_commit_than_the_one_asked_for_is_refused(hub, folder, left):
    hub.publish(folder, COMMITS[0], (COMMITS[1],))
    with pytest.raises(PresetError, match=f"gives commit {COMMITS[0]} for"):
        downloads.folder_of(f"hf://{REPOSITORY}@{COMMITS[1]}")
    assert left() == []


def of_each_file(**more):
    return lambda said: [one.update(more) for one in said["siblings"]]


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.pop("id"),
        *(
            lambda said, sha=sha: said.update(sha=sha)
            for sha in (None, 3, "", "main", "A" * 40, "a" * 39, "../../" + "a" * 34)
        ),
        *(
            lambda said, siblings=siblings: said.update(siblings=siblings)
            for siblings in (3, "text", {"a": 1}, [3], [None], [{"size": 5}])
        ),
        *(of_each_file(size=size) for size in ("5", -5, 1.5, True, [1], {"a": 1})),
        *(of_each_file(rfilename=name) for name in (3, ["a"], {"a": 1})),
        lambda said: said.update(lastModified=3),
        lambda said: said.update(id="\x1b[2J", createdAt="\x1b[2J"),
    ],
)
def test_odd_answers_are_the_error_of_presets(hub, folder, left, change):
    hub.publish(folder, COMMITS[0])
    hub.answer(change)
    with pytest.raises(PresetError, match="answer on hf://.* is odd: ") as caught:
        downloads.folder_of(f"hf://{REPOSITORY}")
    assert str(caught.value).isprintable()
    assert left() == []


@pytest.mark.parametrize("siblings", [None, []])
def test_a_repository_without_files_is_no_preset(hub, folder, left, siblings):
    hub.publish(folder, COMMITS[0])
    hub.answer(lambda said: said.update(siblings=siblings))
    with pytest.raises(PresetError, match="is no preset: it lacks"):
        downloads.folder_of(f"hf://{REPOSITORY}")
    assert left() == []


def test_sizes_are_compared_before_files_are_asked_for(server, hub, folder, left):
    hub.publish(folder, COMMITS[0])
    (folder / preset_files.WEIGHTS).write_bytes(b"longer" * 10_000)
    hub.publish(folder, COMMITS[0])
    with pytest.raises(PresetError, match="has 60000 bytes; expected 5405"):
        downloads.folder_of(f"hf://{REPOSITORY}")
    assert not any("weights" in path for path in server.paths())
    assert left() == []


def test_files_may_come_from_elsewhere_without_a_length(server, hub, folder):
    hub.publish(folder, COMMITS[0])
    path = f"/{REPOSITORY}/resolve/{COMMITS[0]}/{preset_files.WEIGHTS}"
    data = server.answers[path]
    server.answers[path] = redirect("/elsewhere")
    server.answers["/elsewhere"] = lambda h: send(h, data, Content_Length=None)
    assert contents(downloads.folder_of(f"hf://{REPOSITORY}")) == contents(folder)


def test_a_changed_byte_is_found(server, hub, folder, left):
    hub.publish(folder, COMMITS[0])
    path = f"/{REPOSITORY}/resolve/{COMMITS[0]}/{preset_files.WEIGHTS}"
    server.answers[path] = bytes(len(server.answers[path]))
    with pytest.raises(PresetError, match="altered or damaged"):
        downloads.folder_of(f"hf://{REPOSITORY}")
    assert left() == []


def test_a_repository_that_is_none_says_what_to_do(hub, folder, left):
    with pytest.raises(PresetError, match="Is its name right, and have you access"):
        downloads.folder_of(f"hf://{REPOSITORY}")
    (folder / preset_files.WEIGHTS).unlink()
    hub.publish(folder, COMMITS[0])
    with pytest.raises(PresetError, match="is no preset: it lacks \\['weights"):
        downloads.folder_of(f"hf://{REPOSITORY}")
    assert left() == []


@pytest.mark.parametrize("trouble", ["offline", "hung up", "busy"])
def test_without_the_hub_the_cached_preset_is_used(
    server, hub, folder, monkeypatch, trouble
):
    path = f"/api/models/{REPOSITORY}?blobs=true"
    answers = {"hung up": hang_up, "busy": lambda handler: send(handler, b"", 503)}
    hub.publish(folder, COMMITS[0])
    first = downloads.folder_of(f"hf://{REPOSITORY}")
    if trouble == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    else:
        server.answers[path] = answers[trouble]
    with pytest.warns(UserWarning, match="downloaded before is used"):
        assert downloads.folder_of(f"hf://{REPOSITORY}") == first


def test_without_the_package_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "cvzoo.downloads.hub", raising=False)
    with pytest.raises(PresetError, match=r'pip install "cvzoo\[hub\]"'):
        downloads.folder_of(f"hf://{REPOSITORY}")
