"""First values of parameters, computed from the description in crates/graph/src/initialise.rs alone.

Run as `python reference/initialise.py`; it prints what crates/graph/src/initialise/tests.rs expects. Only the
standard library is used, any Python 3.
"""

import math
import struct


def fnv1a(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def chacha8(key, count):
    """The first words of ChaCha with 8 rounds, nonce 0."""
    words = []
    for block in range(-(-count // 16)):
        constants, key_words = struct.unpack("<4I", b"expand 32-byte k"), struct.unpack("<8I", key)
        state = [*constants, *key_words, block, 0, 0, 0]
        mixed = state.copy()
        for _ in range(4):
            for column in range(4):
                quarter(mixed, *(column + 4 * row for row in range(4)))
            for column in range(4):
                quarter(mixed, *((column + row) % 4 + 4 * row for row in range(4)))
        words += [(a + b) % 2**32 for a, b in zip(mixed, state)]
    return words[:count]


def quarter(x, a, b, c, d):
    for first, second, third, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        x[first] = (x[first] + x[second]) % 2**32
        mixed = x[third] ^ x[first]
        x[third] = (mixed << turn | mixed >> 32 - turn) % 2**32


def words(seed, name, count):
    return chacha8(struct.pack("<QQ", seed, fnv1a(name)) + bytes(16), count)


def uniform(seed, name, bound, count):
    return [bound * ((w >> 8) - 2**23) / 2**23 for w in words(seed, name, count)]


def normal(seed, name, std, count):
    values = []
    drawn = words(seed, name, count + count % 2)
    for first, second in zip(drawn[::2], drawn[1::2]):
        radius = math.sqrt(-2 * math.log((first + 1) / 2**32))
        angle = 2 * math.pi * second / 2**32
        values += [std * radius * math.cos(angle), std * radius * math.sin(angle)]
    return values[:count]


if __name__ == "__main__":
    # The published first words for a key of zeros: 3e00ef2f 895f40d6 7f5bb8e8 1f09a5a1.
    print([f"{struct.unpack('>I', struct.pack('<I', word))[0]:08x}" for word in chacha8(bytes(32), 4)])
    as_f32 = lambda values: [struct.unpack("<f", struct.pack("<f", value))[0] for value in values]
    print("uniform", as_f32(uniform(7, "fc.weight", 0.5, 19))[-4:])
    print("normal", as_f32(normal(7, "fc.weight", 2.0, 19))[-4:])
