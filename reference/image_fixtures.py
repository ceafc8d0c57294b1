"""Writes crates/image/tests/fixtures: small pictures in every format and kind that svertka-image reads, with the pixels
Pillow finds in them, and pictures resized by Pillow. Run from the root of the repository, with pillow and numpy:

    python reference/image_fixtures.py
"""
import json
import struct
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps

OUT = Path("crates/image/tests/fixtures")
rng = np.random.default_rng(1998)


def smooth(height, width, channels, top=255):
    """Gradients and an edge: every row, column and channel differs."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    values = np.clip((x * 7 + y * 11 + c * 60) * 2 % 256 + (x > width // 2) * 40, 0, 255)
    return (values * (top / 255)).round().astype(np.uint16 if top > 255 else np.uint8)


def entry(array, alpha=False, tolerance=0):
    if array.ndim == 2:
        array = array[:, :, None]
    height, width, channels = array.shape
    return {
        "height": height, "width": width, "channels": channels, "bits": 8 * array.itemsize,
        "alpha": alpha, "tolerance": tolerance, "samples": array.reshape(-1).tolist(),
    }


def tiff(bands, planar=False):
    """An uncompressed little-endian TIFF of any number of bands, which Pillow does not write."""
    height, width, channels = bands.shape
    size = bands.itemsize
    data = (bands.transpose(2, 0, 1) if planar else bands).astype(f"<u{size}").tobytes()
    bits = 8 + len(data)
    strips = bits + 2 * channels
    counts = strips + 4 * channels
    extras = counts + 4 * channels
    directory = extras + 2 * channels
    n = channels if planar else 1
    plane = len(data) // n
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, bits), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, n, strips if planar else 8), (277, 3, 1, channels), (278, 4, 1, height),
        (279, 4, n, counts if planar else plane), (284, 3, 1, 2 if planar else 1), (338, 3, channels - 1, extras),
    ]
    out = b"II*\0" + struct.pack("<I", directory) + data + struct.pack(f"<{channels}H", *[8 * size] * channels)
    out += struct.pack(f"<{channels}I", *[8 + i * plane for i in range(channels)])
    out += struct.pack(f"<{channels}I", *[plane] * channels) + bytes(2 * channels)
    return out + struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries) + bytes(4)


def decoded():
    grey, rgb, rgba = smooth(5, 7, 1)[:, :, 0], smooth(5, 7, 3), smooth(5, 7, 4)
    deep = smooth(5, 7, 1, 65535)[:, :, 0]
    palette = Image.fromarray(rgb).quantize(16)
    expected = {}

    def save(name, image, mode=None, tolerance=0, **options):
        image.save(OUT / name, **options)
        seen = Image.open(OUT / name)
        seen = ImageOps.exif_transpose(seen)
        seen = seen.convert(mode) if mode else seen
        array = np.asarray(seen)
        if array.dtype == bool:
            array = array.astype(np.uint8) * 255
        if array.dtype == np.int32:
            array = array.astype(np.uint16)
        expected[name] = entry(array, seen.mode in ("LA", "RGBA"), tolerance)

    for suffix in ("png", "bmp", "tif"):
        # Grey BMPs are palettes, and palettes are colour.
        save(f"grey.{suffix}", Image.fromarray(grey), mode="RGB" if suffix == "bmp" else None)
        save(f"bits1.{suffix}", Image.fromarray(grey > 120), mode="RGB" if suffix == "bmp" else None)
        save(f"rgb.{suffix}", Image.fromarray(rgb))
        save(f"palette.{suffix}", palette, mode="RGB")
    for suffix in ("png", "tif"):
        save(f"rgba.{suffix}", Image.fromarray(rgba))
        save(f"grey_alpha.{suffix}", Image.merge("LA", [Image.fromarray(grey), Image.fromarray(rgba[:, :, 3])]))
        save(f"grey16.{suffix}", Image.fromarray(deep))
    save("palette_transparent.png", palette, mode="RGBA", transparency=3)
    save("lzw.tif", Image.fromarray(rgb), compression="tiff_lzw")
    save("deflate.tif", Image.fromarray(rgb), compression="tiff_adobe_deflate")
    save("lossless.webp", Image.fromarray(rgb), lossless=True)
    save("lossless_alpha.webp", Image.fromarray(rgba), lossless=True, exact=True)
    # Decoders may round the inverse transform and the conversion of colours differently: by a few levels of 255.
    soft = Image.fromarray(np.kron(smooth(3, 4, 3), np.ones((8, 8, 1), np.uint8)))
    save("rgb.jpg", soft, tolerance=4, quality=95, subsampling=0)
    save("grey.jpg", soft.convert("L"), tolerance=4, quality=95)
    save("progressive.jpg", soft, tolerance=4, quality=95, subsampling=0, progressive=True)
    save("lossy.webp", soft, tolerance=4, quality=90)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"orientation{orientation}.png", Image.fromarray(rgb), exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("orientation6.jpg", soft, tolerance=4, quality=95, subsampling=0, exif=exif)
    save("orientation6.tif", Image.fromarray(rgb), exif=exif)
    save("orientation6.webp", Image.fromarray(rgb), lossless=True, exif=exif)
    for name, bands, planar in (
        ("bands5.tif", smooth(4, 3, 5), False),
        ("bands5_planar.tif", smooth(4, 3, 5), True),
        ("bands7_16.tif", smooth(4, 3, 7, 65535), False),
    ):
        (OUT / name).write_bytes(tiff(bands, planar))
        expected[name] = entry(bands)
    return expected


def resized():
    filters = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS, "box": Image.BOX,
               "nearest": Image.NEAREST}
    cases = []
    noise = rng.integers(0, 256, (13, 17, 4), dtype=np.uint8)
    noise[:, :, 3] |= 128  # dividing by a small opacity would magnify the rounding of both resizers
    for channels in (1, 3, 4):
        source = noise[:, :, :channels].copy() if channels > 1 else noise[:, :, 0].copy()
        for size in ((5, 4), (17, 7), (29, 31), (1, 1), (8, 13)):
            for name in filters if channels == 3 else ["bilinear"]:
                out = np.asarray(Image.fromarray(source).resize(size, filters[name]))
                alpha = channels == 4
                cases.append({"filter": name, "source": entry(source, alpha), "output": entry(out, alpha)})
    return cases


def converted():
    rgb = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return {"rgb": entry(rgb), "grey": entry(np.asarray(Image.fromarray(rgb).convert("L")))}


OUT.mkdir(parents=True, exist_ok=True)
versions = {"pillow": PIL.__version__, "numpy": np.__version__}
fixtures = {"versions": versions, "decoded": decoded(), "resized": resized(), "converted": converted()}
(OUT / "expected.json").write_text(json.dumps(fixtures, separators=(",", ":")) + "\n")
print(f"{len(fixtures['decoded'])} pictures, {len(fixtures['resized'])} resizes: {OUT}")
