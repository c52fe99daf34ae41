# SPDX-License-Identifier: MIT
# a*x + y over 1e7 doubles with numba, as bench/vectors.lua does it: best of 3, compilation left out
import os
import time

import numba
import numpy as np


@numba.njit(fastmath=True, parallel=True)
def axpy(a, x, y, z):
    for i in numba.prange(x.size):
        z[i] = a * x[i] + y[i]


r = np.random.default_rng(1)
x, y, z = r.random(10_000_000), r.random(10_000_000), r.random(10_000_000)
axpy(2.5, x, y, z)
best = 1e9
for _ in range(3):
    start = time.perf_counter()
    axpy(2.5, x, y, z)
    best = min(best, time.perf_counter() - start)
print(os.environ.get("BENCH_NAME", "axpy"), os.environ.get("BENCH_IMPL", "numba"), "ms", best * 1000, sep="\t")
