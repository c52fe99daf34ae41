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

/* libcrypto's functions. */
struct braid_digest_library {
  const void *(*find)(const char *name);
  void *(*open)(void);
  void (*close)(void *context);
  int (*begin)(void *context, const void *algorithm, void *engine);
  int (*add)(void *context, const void *data, size_t size);
  int (*end)(void *context, unsigned char *bytes, unsigned *size);
};

struct braid_digest_list {
  struct braid_digest_library evp;
  const void *algorithm; /* from evp.find ("sha256") */
  const struct braid_text *texts;
  size_t count;
  bool files;
  struct braid_digest *digests; /* the results */
  struct braid_team *team;      /* while it runs */
};

/* Loads libcrypto, which stays. NULL, or why it could not be loaded. Any thread; the first call may block. */
const char *braid_digest_load(struct braid_digest_library *evp);

/* The kernel; `arguments` is a braid_digest_list. */
void braid_digest_run(struct braid_team *team, void *arguments);

#endif
