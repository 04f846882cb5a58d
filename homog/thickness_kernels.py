"""Compiled loops that fit balls into the solid. Plain arrays in and out, no validation.

The slow twin stands in tests/naive.py.
"""

import numpy as np

from homog.kernels import kernel


@kernel
def mark_balls(solid, rows, out):
    """Mark the voxels of all balls that fit into the solid.

    ``solid`` and ``out`` are (nx, ny, nz). ``rows`` (n, 4) are those of the ball along z: the
    place of its first voxel, none of it negative, and the number of voxels. Balls that leave
    the box are left out.
    """
    nx, ny, nz = solid.shape
    reach_x, reach_y = rows[:, 0].max(), rows[:, 1].max()
    reach_z = (rows[:, 2] + rows[:, 3]).max()
    before = np.zeros((nx, ny, nz + 1), np.int32)  # solid voxels before each one of its row
    opened = np.zeros((nx, ny, nz + 1), np.int32)  # balls that begin less those that have ended
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                before[i, j, k + 1] = before[i, j, k] + solid[i, j, k]
    for i in range(nx - reach_x):
        for j in range(ny - reach_y):
            for k in range(nz - reach_z + 1):
                fits = True
                for n in range(len(rows)):
                    x, y, z = i + rows[n, 0], j + rows[n, 1], k + rows[n, 2]
                    if before[x, y, z + rows[n, 3]] - before[x, y, z] != rows[n, 3]:
                        fits = False
                        break
                if fits:
                    for n in range(len(rows)):
                        x, y, z = i + rows[n, 0], j + rows[n, 1], k + rows[n, 2]
                        opened[x, y, z] += 1
                        opened[x, y, z + rows[n, 3]] -= 1
    for i in range(nx):
        for j in range(ny):
            balls = 0
            for k in range(nz):
                balls += opened[i, j, k]
                out[i, j, k] = balls > 0
