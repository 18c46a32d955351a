"""A step of the action: a virtual environment with archlint, from the checkout that the action itself comes in."""

from __future__ import annotations

import os
import subprocess
import venv
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def main() -> None:
    folder = Path(os.environ["RUNNER_TEMP"], "archlint")
    venv.create(folder, clear=True, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    index = os.environ["INPUT_EXTRA_INDEX_URL"]
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += [
        "--constraint",
        CHECKOUT / "constraints.txt",
        *([f"--extra-index-url={index}"] if index else []),
        CHECKOUT,
    ]
    subprocess.run(command, check=True)
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"python={python}\n")


if __name__ == "__main__":
    main()
