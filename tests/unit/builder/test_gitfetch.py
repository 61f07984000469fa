"""Commits of real repositories are fetched and checked out, served by `git http-backend`."""

from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from keelway.api.buildrequest import GitRequest
from keelway.builder import gitfetch
from keelway.builder.tree import Tree
from keelway.errors import KeelwayError, Terminal, Transient, Waiting
from keelway.sources.guard import Guard, GuardedHttp
from tests.unit.gitserver import Repository, backend, only_pack
from tests.unit.web import serve

VERSIONS = pytest.mark.parametrize("version_2", [True, False], ids=["protocol-2", "protocol-0"])
MAX_BYTES = 10_000_000


@pytest.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    async with GuardedHttp(Guard(allowed=(ip_network("127.0.0.0/8"), ip_network("::1/128")))) as client:
        yield client


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "served").mkdir()
    return Repository.create(tmp_path / "served")


async def check_out(
    repository: Repository, source: GitRequest, http: GuardedHttp, tree: Tree, version_2: bool = True
) -> int:
    async with serve(backend(repository.path.parent, version_2)) as url:
        source = source.model_copy(update={"url": f"{url}/app.git"})
        store = repository.path.parent.parent / "objects"
        objects = await gitfetch.fetch(source, None, http, store, MAX_BYTES)
    moment = gitfetch.check_out(objects, source.commit, tree)
    tree.finish()
    return moment


def pinned(commit: str, revision: str | None = None) -> GitRequest:
    return GitRequest(url="", commit=commit, revision=revision)


@VERSIONS
async def test_a_commit_is_checked_out_with_modes_and_links(
    repository: Repository, http: GuardedHttp, tree: Tree, root: Path, version_2: bool
) -> None:
    (repository.work / "run.sh").write_text("#!")
    (repository.work / "run.sh").chmod(0o755)
    (repository.work / "link").symlink_to("src/app.py")
    commit = repository.commit({"src/app.py": "print()", "README": "x" * 100_000})
    moment = await check_out(repository, pinned(commit, "main"), http, tree, version_2)
    assert moment == int(repository.git("show", "-s", "--format=%ct", commit))
    assert (root / "link").read_text() == "print()"
    assert (root / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (root / "src/app.py").stat().st_mode & 0o777 == 0o644
    assert (root / "README").stat().st_size == 100_000
    assert not (root / ".git").exists()


@VERSIONS
async def test_a_commit_that_a_branch_has_left_behind_is_still_fetched(
    repository: Repository, http: GuardedHttp, tree: Tree, root: Path, version_2: bool
) -> None:
    """Protocol 0 refuses commits that no ref names: then all that leads to the branch's tip is fetched."""
    old = repository.commit({"a": "old"})
    for number in range(5):
        repository.commit({"a": f"new {number}"})
    await check_out(repository, pinned(old, "main"), http, tree, version_2)
    assert (root / "a").read_text() == "old"


@VERSIONS
async def test_a_commit_given_without_a_name_is_looked_for_below_every_ref(
    repository: Repository, http: GuardedHttp, tree: Tree, root: Path, version_2: bool
) -> None:
    repository.commit({"a": "1"})
    repository.git("checkout", "-q", "-b", "side")
    old = repository.commit({"a": "side"})
    repository.commit({"a": "side 2"})
    repository.git("checkout", "-q", "main")
    await check_out(repository, pinned(old, old), http, tree, version_2)
    assert (root / "a").read_text() == "side"


@VERSIONS
async def test_a_commit_that_is_nowhere_waits(
    repository: Repository, http: GuardedHttp, tree: Tree, version_2: bool
) -> None:
    repository.commit({"a": "1"})
    with pytest.raises(Waiting, match="RevisionNotFound"):
        await check_out(repository, pinned("0" * 39 + "1", "main"), http, tree, version_2)


async def test_an_annotated_tags_commit_is_checked_out(
    repository: Repository, http: GuardedHttp, tree: Tree, root: Path
) -> None:
    commit = repository.commit({"a": "tagged"})
    repository.git("tag", "-a", "v1", "-m", "x")
    await check_out(repository, pinned(commit, "v1"), http, tree)
    assert (root / "a").read_text() == "tagged"


async def test_packs_with_deltas_are_read(repository: Repository, http: GuardedHttp, tree: Tree, root: Path) -> None:
    lines = [f"line {number}" for number in range(3000)]
    repository.commit({"a": "\n".join(lines)})
    lines[1500] = "changed"
    commit = repository.commit({"b": "\n".join(lines)})
    repository.git("repack", "-q", "-a", "-d", "-f")
    await check_out(repository, pinned(commit), http, tree)
    assert (root / "b").read_text().splitlines()[1500] == "changed"


async def test_a_submodule_is_an_empty_directory(
    repository: Repository, http: GuardedHttp, tree: Tree, root: Path
) -> None:
    repository.commit({"a": "1"})
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    repository.git("commit", "-q", "-m", "submodule")
    await check_out(repository, pinned(repository.git("rev-parse", "HEAD")), http, tree)
    assert list((root / "sub").iterdir()) == []


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret"])
async def test_a_link_out_of_the_tree_is_refused(
    repository: Repository, http: GuardedHttp, tree: Tree, target: str
) -> None:
    (repository.work / "link").symlink_to(target)
    commit = repository.commit({"a": "1"})
    with pytest.raises(Terminal, match="SourceUnsafe"):
        await check_out(repository, pinned(commit), http, tree)


async def test_a_tree_whose_entry_is_called_dot_dot_is_refused(
    repository: Repository, http: GuardedHttp, tree: Tree
) -> None:
    repository.commit({"a": "1"})
    blob = repository.git("rev-parse", "HEAD:a")
    raw = b"100644 ..\0" + bytes.fromhex(blob)
    made = repository.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)
    commit = repository.git("commit-tree", made, "-m", "evil")
    repository.git("update-ref", "refs/heads/evil", commit)
    with pytest.raises(Terminal, match="SourceUnsafe"):
        await check_out(repository, pinned(commit), http, tree)


async def test_a_repository_over_the_cap_is_stopped(repository: Repository, http: GuardedHttp, tree: Tree) -> None:
    commit = repository.commit({"a": "x" * 2_000_000})
    with pytest.raises(KeelwayError, match="SourceTooLarge"):
        await check_out(repository, pinned(commit), http, tree)


@pytest.mark.parametrize("harm", ["cut", "changed"])
async def test_a_damaged_pack_is_tried_again(
    repository: Repository, http: GuardedHttp, tree: Tree, tmp_path: Path, harm: str
) -> None:
    commit = repository.commit({"a": "".join(f"{number}\n" for number in range(1000))})
    pack = bytearray(repository.pack(commit))
    pack = pack[: len(pack) // 2] if harm == "cut" else pack[:-40] + bytes(20) + pack[-20:]

    async with serve(only_pack(bytes(pack))) as url:
        source = GitRequest(url=url, commit=commit)
        with pytest.raises(Transient, match="GitProtocolBroken"):
            await gitfetch.fetch(source, None, http, tmp_path / "objects", MAX_BYTES)
