/* SPDX-License-Identifier: MIT
 * Linear algebra by the system's LAPACK, which is loaded when it is first needed. Matrices are stored row by row.
 * LAPACK reads columns, so it sees them transposed: each operation is chosen so that nothing has to be copied for that.
 */
#ifndef BRAID_LAPACK_H
#define BRAID_LAPACK_H

#include "core/base/status.h"
#include "core/work/crew.h"

enum braid_lapack_operation {
  BRAID_LAPACK_SOLVE,    /* a: n x n, destroyed. b: k vectors of n, one after the other; becomes the solutions */
  BRAID_LAPACK_CHOLESKY, /* a: n x n, symmetric; becomes the lower triangle */
  BRAID_LAPACK_QR,       /* a: m x n, destroyed. b: q, m x k. c: r, k x n. k is the smaller of m and n */
  BRAID_LAPACK_SVD,      /* a: m x n, destroyed. b: u, m x k. c: vt, k x n. s: k singular values, descending */
  BRAID_LAPACK_EIGH      /* a: n x n, symmetric; becomes the eigenvectors, one a row. s: n eigenvalues, ascending */
};

struct braid_lapack {
  enum braid_lapack_operation operation;
  int m, n, k;
  double *a, *b, *c, *s;
  bool missing; /* there is no LAPACK */
  int info;     /* LAPACK's: above 0, the operation failed for these numbers */
  enum braid_status status;
};

/* The kernel; `arguments` is a braid_lapack. */
void braid_lapack_run(struct braid_team *team, void *arguments);

#endif
