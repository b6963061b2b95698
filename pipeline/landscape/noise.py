"""Randomness as a pure function of position: integer hashing and value noise.

Nothing here keeps a state. The value at a point depends on the point and a salt only, never on the window that is
evaluated, so any window of any raster in any projection sees the same land.

Source: the 32-bit finaliser is Chris Wellons' "lowbias32" (hash-prospector, public domain); value noise after
Perlin, K. (2002), Improving noise, ACM Trans. Graph. 21(3), with the smoothstep 3t^2 - 2t^3.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Metres = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint32]
# Standard deviation of `value_noise` over a uniformly drawn point: sqrt((26/35)^2 / 12).
VALUE_NOISE_STD = 0.21444
BYTE_STD = 73.9  # of a uniform byte: sqrt((256^2 - 1) / 12)


def mix(values: npt.NDArray[np.integer] | int) -> Hashes:
    """Every bit of each 32-bit value depends on every bit of the input; a bijection (uint32, same shape)."""
    h = np.array(values).astype(np.uint32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x7FEB352D)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x846CA68B)
    h ^= h >> np.uint32(16)
    return h


@lru_cache(maxsize=4096)
def salt(seed: int, *names: str | int) -> int:
    """A 32-bit salt from the seed and names; equal input, equal salt, on every machine.

    >>> salt(0, "roads") == salt(0, "roads"), salt(0, "roads") == salt(1, "roads")
    (True, False)
    """
    h = int(mix(seed & 0xFFFFFFFF)) ^ ((seed >> 32) & 0xFFFFFFFF)
    for byte in "\x1f".join(map(str, names)).encode():
        h = int(mix((h * 31 + byte) & 0xFFFFFFFF))
    return h


def lattice_hash(ix: npt.NDArray[np.integer] | int, iy: npt.NDArray[np.integer] | int, key: int) -> Hashes:
    """Hash of integer lattice points (uint32, the broadcast shape of `ix` and `iy`)."""
    rows = mix(np.asarray(iy).astype(np.uint32) ^ np.uint32(key))
    with np.errstate(over="ignore"):
        return mix(np.asarray(ix).astype(np.uint32) * np.uint32(0x9E3779B1) + rows)


def unit(hashes: Hashes) -> Floats:
    """Hashes as float32 in [0, 1), 65,536 levels."""
    return np.asarray((hashes >> np.uint32(16)).astype(np.float32) * np.float32(2.0**-16))


def normal(hashes: Hashes) -> Floats:
    """Hashes as roughly standard normal float32: twelve uniform values summed, so within 6 of zero."""
    total = np.zeros(hashes.shape, np.float32)
    h = hashes
    for _ in range(6):
        h = mix(h)
        total += unit(h) + ((h & np.uint32(0xFFFF)).astype(np.float32) * np.float32(2.0**-16))
    total -= np.float32(6.0 - 12 / 2**17)
    return total


def uniform_bytes(hashes: Hashes) -> tuple[Floats, Floats, Floats, Floats]:
    """Four independent uniform float32 values of mean 0 and standard deviation 1 from each hash."""
    scale = np.float32(1 / BYTE_STD)
    low = np.uint32(0xFF)
    one, two, three, four = (((hashes >> np.uint32(8 * i)) & low).astype(np.float32) for i in range(4))
    shift = np.float32(127.5)
    return (one - shift) * scale, (two - shift) * scale, (three - shift) * scale, (four - shift) * scale


def value_noise(x_m: Metres, y_m: Metres, wavelength_m: float, key: int) -> Floats:
    """Smooth noise in [0, 1) whose features are about `wavelength_m` wide (float32, shape of `x_m`).

    Hashed values on a square lattice, joined by smoothstep. `x_m` and `y_m` are float64 metres of equal shape.
    """
    if not x_m.size:
        return np.zeros(x_m.shape, np.float32)
    gx, gy = x_m / wavelength_m, y_m / wavelength_m
    fx, fy = np.floor(gx), np.floor(gy)
    x0, y0 = int(fx.min()), int(fy.min())
    width, height = int(fx.max()) - x0 + 2, int(fy.max()) - y0 + 2
    table = unit(lattice_hash(np.arange(x0, x0 + width)[None, :], np.arange(y0, y0 + height)[:, None], key)).ravel()
    tx, ty = (gx - fx).astype(np.float32), (gy - fy).astype(np.float32)
    tx *= tx * (np.float32(3) - np.float32(2) * tx)
    ty *= ty * (np.float32(3) - np.float32(2) * ty)
    at = ((fy - y0) * width + (fx - x0)).astype(np.int32)
    south, north = table[:-1], table[width:]
    west = south.take(at)
    west += tx * (table.take(at + np.int32(1)) - west)
    two = north.take(at)
    two += tx * (table.take(at + np.int32(width + 1)) - two)
    two -= west
    two *= ty
    west += two
    return np.asarray(west)


def octaves(x_m: Metres, y_m: Metres, wavelengths_m: tuple[float, ...], key: int, fall: float = 0.6) -> Floats:
    """Sum of value noises of the given wavelengths, each `fall` times the one before; mean 0, standard deviation 1."""
    weights = [fall**i for i in range(len(wavelengths_m))]
    scale = 1 / (VALUE_NOISE_STD * sum(w * w for w in weights) ** 0.5)
    total = np.zeros(x_m.shape, np.float32)
    for i, (weight, wavelength_m) in enumerate(zip(weights, wavelengths_m, strict=True)):
        layer = value_noise(x_m, y_m, wavelength_m, salt(key, i))
        layer -= np.float32(0.5)
        layer *= np.float32(weight * scale)
        total += layer
    return total
