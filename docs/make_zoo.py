"""Put a trained run into the zoo, its weights as 16-bit floats:

python docs/make_zoo.py runs/typewriting typewritten
"""

from __future__ import annotations

import sys
from pathlib import Path

from crnn.bundle import load

ZOO = Path(__file__).resolve().parent.parent / "src" / "crnn" / "zoo"


def main(run: str, name: str) -> None:
    bundle = load(run)
    bundle.card["data"] = Path(bundle.card["data"]).name  # where the data lay is nobody's business
    path = ZOO / f"{name}.safetensors"
    bundle.save(path, half=True)
    sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
