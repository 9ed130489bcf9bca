"""Download the Debian packages of `sources.py` and unpack their text, with apt alone.

    python examples/tiny_models/fetch.py --work-dir tiny_work

Needs Debian's `apt-get` and `dpkg-deb`; re-running skips what is there.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from sources import DESCRIPTION_LISTS, MANUAL_PACKAGES, SOURCES

SKIP = ("*.png", "*.jpg", "*.pdf", "*.svg", "*.so", "*.gif", "*.webp")


def update_lists() -> None:
    """Ask apt for the package descriptions in every language that the pair learns."""
    names = ",".join(name.replace("%5f", "_") for names in DESCRIPTION_LISTS.values() for name in names)
    subprocess.run(["apt-get", "update", "-q", "-o", f"Acquire::Languages={names}"], check=True)


def available(package: str) -> bool:
    shown = subprocess.run(["apt-cache", "show", package], capture_output=True, text=True)
    return shown.returncode == 0 and "Package:" in shown.stdout


def unpack(deb: Path, root: Path) -> None:
    """Extract one package without its pictures and libraries."""
    listing = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
    exclude = [f"--exclude={pattern}" for pattern in SKIP]
    subprocess.run(["tar", "-x", "-C", str(root), *exclude], stdin=listing.stdout, check=True)
    listing.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    parser.add_argument("--no-update", action="store_true", help="the apt lists are fresh")
    args = parser.parse_args()
    debs, root = args.work_dir / "debs", args.work_dir / "root"
    debs.mkdir(parents=True, exist_ok=True)
    root.mkdir(parents=True, exist_ok=True)
    if not args.no_update:
        update_lists()
    have = {path.name.split("_")[0] for path in debs.glob("*.deb")}
    wanted = [*(package for source in SOURCES for package in source.packages), *MANUAL_PACKAGES]
    missing = [package for package in wanted if package not in have and available(package)]
    if missing:
        subprocess.run(["apt-get", "download", "-q", *missing], check=True, cwd=debs)
    for deb in sorted(debs.glob("*.deb")):
        mark = root / f".{deb.name}.done"
        if not mark.exists():
            unpack(deb, root)
            mark.touch()
    print(f"{len(list(debs.glob('*.deb')))} packages unpacked under {root}")


if __name__ == "__main__":
    main()
