from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from caching import LocalCache
from caching.commands import cache
from caching.store.eviction import parse_size

ROOT = Path(__file__).parents[2]
MODULE = (
    "from caching import function_cache\nK = 1\ndef helper(x):\n    return x + 1\n"
    "@function_cache\ndef spend(x, path=None):\n    return helper(x) * K, path and open(path).read()\n"
)


def call(project: Path, expression: str, **files: str) -> None:
    """Evaluate an expression in a process of its own, with `a` and `b` two modules of one text."""
    for name, text in {"a.py": MODULE, "b.py": MODULE, **files}.items():
        (project / name).write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SOURCESWAP_CACHE_DIR": str(project / "cache")}
    subprocess.run([sys.executable, "-c", f"import a, b; {expression}"], cwd=project, env=environment, check=True)


def run(project: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cache, ["--cache-dir", str(project / "cache"), *arguments])


def test_a_bare_name_clears_everywhere_and_a_dotted_one_only_there(tmp_path: Path) -> None:
    call(tmp_path, "a.spend(1); a.spend(2); b.spend(1)")
    assert run(tmp_path, "clear", "--funcs", "a.spend").output == "Cleared 2 entries of a.spend.\n"
    assert LocalCache(tmp_path / "cache").get_namespaces() == {"b.spend"}
    call(tmp_path, "a.spend(1)")
    assert run(tmp_path, "clear", "--funcs", "spend", "other").output.splitlines() == [
        "Nothing is cached of other.",
        "Cleared 1 entry of a.spend.",
        "Cleared 1 entry of b.spend.",
    ]
    call(tmp_path, "a.spend(1)")
    assert run(tmp_path, "clear", "--all").output == "Cleared 1 entry.\n"


@pytest.mark.parametrize("arguments", [[], ["--all", "--funcs", "x"], ["x"]])
def test_clear_wants_to_know_what(tmp_path: Path, arguments: list[str]) -> None:
    result = run(tmp_path, "clear", *arguments)
    assert (result.exit_code, "--all or --funcs" in result.output) == (2, True)


def test_an_unknown_name_shows_the_nearest(tmp_path: Path) -> None:
    call(tmp_path, "a.spend(1)")
    result = run(tmp_path, "why", "spent", "a.spend")
    assert (result.exit_code, "Did you mean spend?" in result.output) == (2, True)
    assert "a.spend: the latest miss" in result.output
    assert run(tmp_path, "why", "a.spend").exit_code == 0
    assert run(tmp_path, "clear", "--funcs", "spent").exit_code == 2


def test_python_m_caching_lists_what_is_cached(tmp_path: Path) -> None:
    call(tmp_path, "a.spend(1)")
    command = [sys.executable, "-m", "caching", "--cache-dir", str(tmp_path / "cache")]
    for name in ("list-cache", "ls"):
        listed = subprocess.check_output([*command, name], cwd=ROOT, text=True)
        header, line = listed.splitlines()
        assert header.split() == ["function", "entries", "size", "last", "used"]
        assert line.split()[:2] == ["a.spend", "1"]
        assert header.index("entries") + len("entries") == line.index(" 1 ") + 2
    assert "entries    1" in run(tmp_path, "stats").output


def test_verify_finds_damage(tmp_path: Path) -> None:
    call(tmp_path, "a.spend(1); a.spend(2)")
    assert run(tmp_path, "verify").exit_code == 0
    entry = next((tmp_path / "cache").rglob("*.entry"))
    entry.write_bytes(entry.read_bytes()[:-1] + b"\xff")
    result = run(tmp_path, "verify")
    assert (result.exit_code, "1 damaged" in result.output) == (1, True)
    assert "never served" in result.output


@pytest.mark.parametrize(("size", "kept"), [("100kB", 2), ("35kB", 1), ("10kB", 0), ("1kB", 0), ("0", 0), ("0MB", 0)])
def test_prune_reaches_the_size(tmp_path: Path, size: str, kept: int) -> None:
    store = LocalCache(tmp_path / "cache")
    for key in ("a" * 32, "b" * 32):
        store.save(("m.f", key), b"x" * 20_000)
        store.update_record(("m.f", key), {"newer": "y" * 2000})
        time.sleep(0.01)  # the clock of files is coarse
    store.write_note("m.f", "note", {"text": "z" * 2000})
    before = store.stats().size_bytes
    result = run(tmp_path, "prune", "--max-size", size)
    assert (result.exit_code, store.stats().entries) == (0, kept)
    assert store.stats().size_bytes <= parse_size(size, may_be_zero=True)
    freed = (before - store.stats().size_bytes) / 1000
    assert f"{freed:.1f} kB" in result.output or not freed
    assert store.has(("m.f", "b" * 32)) == bool(kept)


def test_prune_refuses_what_is_no_size(tmp_path: Path) -> None:
    for size in ("-1", "lots"):
        assert run(tmp_path, "prune", "--max-size", size).exit_code == 2


@pytest.mark.parametrize(
    ("edit", "second", "expected"),
    [
        (("x + 1", "x + 2"), "a.spend(1)", "helper `helper` in module `a` changed"),
        (("K = 1", "K = 2"), "a.spend(1)", "constant `K` in module `a` changed"),
        (("* K,", "/ K,"), "a.spend(1)", "its own code changed"),
        (("", ""), "a.spend(7)", "argument `x` has another value"),
        (("", ""), "a.spend(1, 'data')", "data was rewritten"),
    ],
)
def test_why_names_what_differs(tmp_path: Path, edit: tuple[str, str], second: str, expected: str) -> None:
    (tmp_path / "data").write_text("1")
    call(tmp_path, "a.spend(1, 'data')" if "data" in second else "a.spend(1)")
    (tmp_path / "data").write_text("22")
    call(tmp_path, second, **{"a.py": MODULE.replace(*edit)})
    result = run(tmp_path, "why", "a.spend")
    assert expected in result.output
    assert len(result.output.splitlines()) == 2


def test_no_argument_is_written_into_the_cache(tmp_path: Path) -> None:
    secret = "hunter2-is-the-password"
    text = (
        "from caching import function_cache\n@function_cache\ndef login(word):\n    return len(word)\n"
        "@function_cache\ndef outer(words):\n    return login(words[0])\n"
        "@function_cache(ttl_seconds=9)\ndef connect(url):\n    return 1\n"
    )
    calls = [f"login('{secret}')", f"login('{secret}')", f"outer(['{secret}'])", f"connect('nowhere://u:{secret}@h')"]
    for expression in calls:
        call(tmp_path, f"import m; m.{expression}", **{"m.py": text})
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(files) >= 2
    assert not [path for path in files if secret.encode() in path.read_bytes() or secret in path.name]


def test_each_command_has_help() -> None:
    assert isinstance(cache, click.Group)
    assert set(cache.commands) == {"clear", "list-cache", "ls", "stats", "prune", "verify", "why"}
    for command in cache.commands.values():
        assert command.help
