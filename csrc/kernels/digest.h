/* SPDX-License-Identifier: MIT
 * Checksums of many strings or files. OpenSSL's libcrypto computes them; it is loaded at the first use. */
#ifndef BRAID_DIGEST_H
#define BRAID_DIGEST_H

#include "core/work/crew.h"
#include "kernels/text.h"

enum { BRAID_DIGEST_MOST = 64 }; /* size of the longest digest */

struct braid_digest {
  unsigned char bytes[BRAID_DIGEST_MOST];
  uint8_t size;
  int error; /* errno if the file could not be read */
};

struct braid_digest_list {
  const void *algorithm; /* from braid_digest_find */
  const struct braid_text *texts;
  size_t count;
  bool files;
  struct braid_digest *digests; /* the results */
  struct braid_team *team;      /* while it runs */
};

/* Whether libcrypto could be loaded. `*why` is the reason if not. Any thread; the first call loads it and may block. */
bool braid_digest_ready(const char **why);

/* The algorithm of this name ("sha256"); NULL when libcrypto has none. Call braid_digest_ready first. Any thread. */
const void *braid_digest_find(const char *name);

/* The kernel; `arguments` is a braid_digest_list. */
void braid_digest_run(struct braid_team *team, void *arguments);

#endif
