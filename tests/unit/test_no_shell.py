"""Nothing of the operator starts a shell, so no name and no value of a spec can reach one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELLS = {"sh", "bash", "dash", "ash", "zsh", "/bin/sh", "/bin/bash"}
STARTS_ONE = {
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("asyncio.create_subprocess_shell", "create_subprocess_shell"),
}


def shells_in(source: str) -> Iterator[str]:
    """What would start a shell, or name one as a program, and where."""
    for found in ast.walk(ast.parse(source)):
        if isinstance(found, ast.Call):
            called = ast.unparse(found.func)
            if called in STARTS_ONE or called.endswith(".create_subprocess_shell"):
                yield f"line {found.lineno}: {called}"
            if any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in found.keywords):
                yield f"line {found.lineno}: shell="
        if isinstance(found, ast.Constant) and found.value in SHELLS:
            yield f"line {found.lineno}: {found.value!r}"


@pytest.mark.parametrize("file", sorted((ROOT / "operator").rglob("*.py")), ids=lambda file: str(file.name))
def test_no_module_starts_a_shell(file: Path) -> None:
    assert list(shells_in(file.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.system(f'git clone {url}')",
        "subprocess.run(command, shell=True)",
        "subprocess.run(['sh', '-c', f'git clone {url}'])",
        "await asyncio.create_subprocess_shell(command)",
        "container = {'command': ['/bin/sh', '-c', script]}",
    ],
)
def test_a_shell_would_be_found(source: str) -> None:
    assert list(shells_in(source))
