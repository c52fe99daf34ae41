/* SPDX-License-Identifier: MIT
 * Checksums of many strings or files by the system's crypto library (OpenSSL's libcrypto), which is loaded when it is
 * first needed. */
#ifndef BRAID_DIGEST_H
#define BRAID_DIGEST_H

#include "core/work/crew.h"
#include "kernels/text.h"

enum { BRAID_DIGEST_MOST = 64 }; /* bytes of the longest */

struct braid_digest {
  unsigned char bytes[BRAID_DIGEST_MOST];
  uint8_t size;
  int error; /* errno where the file could not be read */
};

struct braid_digest_list {
  const void *algorithm; /* of braid_digest_find */
  const struct braid_text *texts;
  size_t count;
  bool files;
  struct braid_digest *digests; /* the answers */
  struct braid_team *team;      /* while it runs */
};

/* Whether the library is there; else *why says what was looked for. Any thread; the first call blocks for the loader.
 */
bool braid_digest_ready(const char **why);

/* The algorithm of this name ("sha256"), NULL when the library has none. After braid_digest_ready. Any thread. */
const void *braid_digest_find(const char *name);

/* The kernel: arguments is a braid_digest_list. */
void braid_digest_run(struct braid_team *team, void *arguments);

#endif
