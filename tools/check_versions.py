"""Checks that all places which name DuckDB's version agree with the Makefile, and those that name the extension's.

An extension of DuckDB's unstable C API loads in exactly the release it was built for: a mismatch would show nowhere but
in a refused LOAD.

    check_versions.py v2.0.0
"""

import importlib.metadata
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]


def find(pattern, text):
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else None


def crate_version(duckdb_version):
    """DuckDB 2.0.0 is crate 0.20000.x: two digits each for minor and patch."""
    major, minor, patch = map(int, duckdb_version.split("."))
    return f"0.{major * 10000 + minor * 100 + patch}"


def mismatches(duckdb_version, root=ROOT, installed=importlib.metadata.version):
    """One line for each place that names another version than it should."""
    read = lambda path: (root / path).read_text(encoding="utf-8")
    manifest, lock = tomllib.loads(read("Cargo.toml")), tomllib.loads(read("Cargo.lock"))
    pin = manifest["dependencies"]["duckdb-neo"]
    locked = [package["version"] for package in lock["package"] if package["name"] == "duckdb-neo"]
    crate = re.escape(crate_version(duckdb_version)) + r"\.\d+"
    release = re.escape(duckdb_version)
    extension = re.escape(manifest["workspace"]["package"]["version"])
    places = [
        ("Cargo.toml: duckdb-neo", pin["version"] if isinstance(pin, dict) else pin, "=" + crate),
        ("Cargo.lock: duckdb-neo", " and ".join(locked), crate),
        ("src/lib.rs: api_version", find(r'api_version\s*=\s*"([^"]*)"', read("src/lib.rs")), "v" + release),
        ("requirements.txt: duckdb", find(r"^duckdb\s*==\s*(\S+)", read("requirements.txt")), release),
        ("configure/venv: duckdb", installed("duckdb"), release),
        ("description.yml: version", find(r"^  version:\s*(\S+)", read("description.yml")), extension),
    ]
    return [
        f"{place} is {found}, expected {expected.replace(chr(92), '').replace('.d+', '.x')}"
        for place, found, expected in places
        if not re.fullmatch(expected, found or "")
    ]


def main(tag):
    if not re.fullmatch(r"v\d+\.\d{1,2}\.\d{1,2}", tag):
        raise SystemExit(f"check_versions: {tag} is not a release of DuckDB, such as v2.0.0")
    problems = mismatches(tag.removeprefix("v"))
    print(*problems or [f"all versions agree with DuckDB {tag}"], sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
