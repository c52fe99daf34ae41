/* SPDX-License-Identifier: MIT
 * The functions have Fortran's interface: all arguments are pointers, and the length of each text comes at the end. */
#include "kernels/lapack.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/library.h"

typedef void factor(const int *m, const int *n, double *a, const int *lda, int *pivots, int *info);
typedef void substitute(const char *trans, const int *n, const int *k, const double *a, const int *lda,
                        const int *pivots, double *b, const int *ldb, int *info, size_t length);
typedef void cholesky(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t length);
typedef void lq(const int *m, const int *n, double *a, const int *lda, double *tau, double *work, const int *size,
                int *info);
typedef void make_q(const int *m, const int *n, const int *k, double *a, const int *lda, const double *tau,
                    double *work, const int *size, int *info);
typedef void svd(const char *job, const int *m, const int *n, double *a, const int *lda, double *s, double *u,
                 const int *ldu, double *vt, const int *ldvt, double *work, const int *size, int *whole, int *info,
                 size_t length);
typedef void eigh(const char *job, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
                  const int *size, int *whole, const int *whole_size, int *info, size_t length, size_t other_length);

struct library {
  factor *factor;
  substitute *substitute;
  cholesky *cholesky;
  lq *lq;
  make_q *make_q;
  svd *svd;
  eigh *eigh;
};

static bool load(struct library *library) {
  const struct braid_library_symbol symbols[] = {{"dgetrf_", &library->factor},   {"dgetrs_", &library->substitute},
                                                 {"dpotrf_", &library->cholesky}, {"dgelqf_", &library->lq},
                                                 {"dorglq_", &library->make_q},   {"dgesdd_", &library->svd},
                                                 {"dsyevd_", &library->eigh}};
  return braid_library_load("lapack", "3", symbols, sizeof symbols / sizeof *symbols);
}

/* Memory for `count` numbers of `size` bytes, at least one. NULL: it is out, and the status says so. */
static void *take(struct braid_lapack *this, double count, size_t size) {
  void *memory = calloc(count < 1 ? 1 : (size_t)count, size);
  if (!memory) this->status = BRAID_NO_MEMORY;
  return memory;
}

static void solve(struct braid_lapack *this, const struct library *library) {
  int *pivots = take(this, this->n, sizeof *pivots);
  if (!pivots) return;
  library->factor(&this->n, &this->n, this->a, &this->n, pivots, &this->info);
  if (this->info == 0)
    library->substitute("T", &this->n, &this->k, this->a, &this->n, pivots, this->b, &this->n, &this->info, 1);
  free(pivots);
}

static void decompose(struct braid_lapack *this, const struct library *library) {
  size_t n = (size_t)this->n;
  library->cholesky("U", &this->n, this->a, &this->n, &this->info, 1);
  for (size_t i = 0; i < n; i++) memset(this->a + i * n + i + 1, 0, (n - i - 1) * sizeof *this->a);
}

/* The transposed matrix is L Q, so the matrix is Q' L'. */
static void orthogonalise(struct braid_lapack *this, const struct library *library) {
  size_t n = (size_t)this->n, k = (size_t)this->k;
  int ask = -1, size;
  double best[2] = {0};
  library->lq(&this->n, &this->m, this->a, &this->n, best, best, &ask, &this->info);
  library->make_q(&this->k, &this->m, &this->k, this->a, &this->n, best, best + 1, &ask, &this->info);
  size = (int)(best[0] > best[1] ? best[0] : best[1]);
  double *tau = take(this, this->k, sizeof *tau), *work = take(this, size, sizeof *work);
  if (tau && work) {
    library->lq(&this->n, &this->m, this->a, &this->n, tau, work, &size, &this->info);
    for (size_t i = 0; i < k; i++) memcpy(this->c + i * n + i, this->a + i * n + i, (n - i) * sizeof *this->c);
    library->make_q(&this->k, &this->m, &this->k, this->a, &this->n, tau, work, &size, &this->info);
    for (size_t i = 0; i < (size_t)this->m; i++) memcpy(this->b + i * k, this->a + i * n, k * sizeof *this->b);
  }
  free(tau);
  free(work);
}

static void find_singular(struct braid_lapack *this, const struct library *library) {
  int ask = -1, size, *whole = take(this, 8.0 * this->k, sizeof *whole);
  double best = 0;
  if (!whole) return;
  library->svd("S", &this->n, &this->m, this->a, &this->n, this->s, this->c, &this->n, this->b, &this->k, &best, &ask,
               whole, &this->info, 1);
  size = (int)best;
  double *work = take(this, size, sizeof *work);
  if (work)
    library->svd("S", &this->n, &this->m, this->a, &this->n, this->s, this->c, &this->n, this->b, &this->k, work, &size,
                 whole, &this->info, 1);
  free(work);
  free(whole);
}

static void find_eigen(struct braid_lapack *this, const struct library *library) {
  int ask = -1, size, whole_size = 0;
  double best = 0;
  library->eigh("V", "U", &this->n, this->a, &this->n, this->s, &best, &ask, &whole_size, &ask, &this->info, 1, 1);
  size = (int)best;
  double *work = take(this, size, sizeof *work);
  int *whole = take(this, whole_size, sizeof *whole);
  if (work && whole)
    library->eigh("V", "U", &this->n, this->a, &this->n, this->s, work, &size, whole, &whole_size, &this->info, 1, 1);
  free(work);
  free(whole);
}

void braid_lapack_run(struct braid_team *team, void *arguments) {
  static void (*const functions[])(struct braid_lapack *, const struct library *) = {
      [BRAID_LAPACK_SOLVE] = solve,       [BRAID_LAPACK_CHOLESKY] = decompose, [BRAID_LAPACK_QR] = orthogonalise,
      [BRAID_LAPACK_SVD] = find_singular, [BRAID_LAPACK_EIGH] = find_eigen,
  };
  struct braid_lapack *this = arguments;
  struct library library;
  (void)team;
  this->missing = !load(&library);
  if (!this->missing && this->n > 0 && this->m > 0) functions[this->operation](this, &library);
}
