"""The README's example of exports in the background: its code runs, and its output is what it says."""
import re
import subprocess
import sys

from helpers import cases

# Numbers that differ from run to run: ids, seconds, lines of the loop that watches.
CHANGING = [(r"\b[0-9a-f]{16}\b", "<id>"), (r"\d+\.\d+", "<seconds>"), (r"\[\('(queued|running)'.*\n", "")]


def example():
    section = (cases.REPO / "README.md").read_text(encoding="utf-8").split("## In the background\n")[1].split("\n## ")[0]
    code, output = re.search(r"```python\n(.*?)```\n```text\n(.*?)```", section, re.S).groups()
    return code, output


def masked(output):
    for pattern, word in CHANGING:
        output = re.sub(pattern, word, output)
    return re.sub(r" +", " ", output).strip()


def test_the_example_in_the_background_gives_its_output(tmp_path):
    code, output = example()
    # "/tmp/" first: the repository may lie below it.
    for written, here in (("/tmp/", f"{tmp_path}/"), ("build/release/questdb.duckdb_extension", cases.EXTENSION),
                          ("build/fixtures", cases.FIXTURES)):
        assert written in code
        code = code.replace(written, str(here))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert masked(done.stdout.replace(f"{tmp_path}/", "/tmp/")) == masked(output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["weeks"]
    assert sorted(path.name for path in (tmp_path / "weeks").iterdir()) == ["2024-W09.parquet", "2024-W10.parquet"]
