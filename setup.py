"""The packages: archlint/, and inside it rules/ and fixtures/, which stand beside it in the repository.

All else is in pyproject.toml; it is only that setuptools cannot both find packages and move them there.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["archlint", "archlint.*"]),
        *(f"archlint.{name}" for name in find_packages(include=["rules", "rules.*", "fixtures", "fixtures.*"])),
    ],
    package_dir={"archlint.rules": "rules", "archlint.fixtures": "fixtures"},
)
