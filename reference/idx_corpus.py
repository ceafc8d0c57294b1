"""Writes fuzz/corpus/idx: small IDX files, right and wrong, plain and gzipped. Run from the root of the repository:

    python reference/idx_corpus.py
"""
import gzip
import struct
from pathlib import Path

OUT = Path("fuzz/corpus/idx")


def idx(shape, items, kind=8):
    return struct.pack(">BBBB", 0, 0, kind, len(shape)) + struct.pack(f">{len(shape)}I", *shape) + bytes(items)


labels, images = idx([4], range(4)), idx([2, 3, 3], range(18))
seeds = {
    "labels": labels,
    "images": images,
    "images4": idx([1, 2, 2, 3], range(12)),
    "empty": b"",
    "no_items": idx([0, 28, 28], []),
    "truncated": images[:-3],
    "trailing": images + b"x",
    "wrong_type": idx([1], [0] * 4, kind=0x0D),
    "wraps_to_nothing": idx([0, 4, 1 << 31, 1 << 31], []),
    "claims_2_to_the_40": idx([1 << 20, 1 << 20], [0]),
}
OUT.mkdir(parents=True, exist_ok=True)
for name, content in seeds.items():
    (OUT / name).write_bytes(content)
    (OUT / f"{name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))
(OUT / "two_members.gz").write_bytes(gzip.compress(images[:20], mtime=0) + gzip.compress(images[20:], mtime=0))
(OUT / "inflates.gz").write_bytes(gzip.compress(idx([16], [0] * 100_000), mtime=0))
print(f"{len(list(OUT.iterdir()))} files: {OUT}")
