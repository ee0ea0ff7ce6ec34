import check_versions
import pytest

FILES = {
    "Cargo.toml": '[workspace.package]\nversion = "0.1.0"\n[dependencies]\nduckdb-neo = { version = "=0.20103.1" }\n',
    "Cargo.lock": '[[package]]\nname = "duckdb-neo"\nversion = "0.20103.1"\n',
    "src/lib.rs": '#[duckdb_entrypoint_c_api_v2(extension_name = "questdb", api_version = "v2.1.3")]\n',
    "requirements.txt": "duckdb==2.1.3\npyarrow==2.0.0\n",
    "description.yml": "extension:\n  name: questdb\n  version: 0.1.0\n",
}


def check(root, installed="2.1.3", **changes):
    (root / "src").mkdir(exist_ok=True)
    for path, text in {**FILES, **changes}.items():
        (root / path).write_text(text)
    return check_versions.mismatches("2.1.3", root, lambda _: installed)


def test_agreement(tmp_path):
    assert check(tmp_path) == []


@pytest.mark.parametrize("path, old, new, problem", [
    ("Cargo.toml", "=0.20103.1", "0.20103.1", "Cargo.toml: duckdb-neo is 0.20103.1, expected =0.20103.x"),
    ("Cargo.toml", "=0.20103.1", "=0.20000.1", "Cargo.toml: duckdb-neo is =0.20000.1, expected =0.20103.x"),
    ("Cargo.lock", "0.20103.1", "0.201030.1", "Cargo.lock: duckdb-neo is 0.201030.1, expected 0.20103.x"),
    ("src/lib.rs", "v2.1.3", "v2.1.30", "src/lib.rs: api_version is v2.1.30, expected v2.1.3"),
    ("src/lib.rs", "api_version", "version", "src/lib.rs: api_version is None, expected v2.1.3"),
    ("requirements.txt", "==2.1.3", ">=2.1.3", "requirements.txt: duckdb is None, expected 2.1.3"),
    ("description.yml", "0.1.0", "0.2.0", "description.yml: version is 0.2.0, expected 0.1.0"),
])
def test_disagreement(tmp_path, path, old, new, problem):
    assert check(tmp_path, **{path: FILES[path].replace(old, new)}) == [problem]


def test_package_of_another_release(tmp_path):
    assert check(tmp_path, installed="2.1.2") == ["configure/venv: duckdb is 2.1.2, expected 2.1.3"]


@pytest.mark.parametrize("release, crate", [("2.0.0", "0.20000"), ("1.5.6", "0.10506"), ("2.12.3", "0.21203")])
def test_crate_version(release, crate):
    assert check_versions.crate_version(release) == crate


def test_only_a_release_can_be_a_target():
    with pytest.raises(SystemExit, match="main is not a release"):
        check_versions.main("main")
