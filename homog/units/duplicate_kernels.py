"""Compiled search for cells that are nearly the same. Plain arrays, no validation.

The slow twin stands in tests/naive.py.
"""

import numpy as np

from homog.kernels import kernel


@kernel
def count_bits(word):
    """Number of ones of a 64-bit word."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel
def find_similar(octants, count, candidate, solid, least):
    """First of the cells that differ from a candidate by less than ``least``, or -1.

    ``octants`` (n, words) are packed, ``count`` (n,) their solid voxels, ``candidate`` (words,)
    with ``solid`` voxels. The difference is the part of the union that only one of two has.
    """
    for n in range(len(octants)):
        both = count[n] + solid
        # xor / union < least, with 2 union = both + xor
        allowed = least * both / (2.0 - least)
        if abs(count[n] - solid) >= allowed and count[n] != solid:
            continue
        differ = 0
        for word in range(len(candidate)):
            differ += count_bits(octants[n, word] ^ candidate[word])
            if differ >= allowed and differ > 0:
                break
        if differ < allowed or differ == 0:
            return n
    return -1
