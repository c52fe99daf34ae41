/* SPDX-License-Identifier: MIT
 * The body of a request that is made while it is sent: what was given and is not yet sent. Its owner's thread only;
 * nothing blocks. */
#ifndef BRAID_UPLOAD_H
#define BRAID_UPLOAD_H

#include "core/base/buffer.h"

struct braid_upload {
  struct braid_buffer data;
  size_t sent;  /* bytes of `data` */
  bool ended;   /* all was given */
  bool starved; /* the sender was told that there is nothing; it must be told when there is more */
  bool dry;     /* all was sent, and it has ended */
};

enum { BRAID_UPLOAD_WINDOW = 256 * 1024 }; /* bytes that may wait; then the giver waits */

void braid_upload_reset(struct braid_upload *upload);
void braid_upload_term(struct braid_upload *upload);
void braid_upload_shrink(struct braid_upload *upload); /* frees a large buffer */

/* Whether more can be given at once. */
static inline bool braid_upload_hungry(const struct braid_upload *upload) {
  return upload->data.size - upload->sent < BRAID_UPLOAD_WINDOW;
}

/* Copies a piece. False: memory is out. */
bool braid_upload_give(struct braid_upload *upload, const char *data, size_t size);

/* Moves up to `room` bytes to `to`; returns how many. 0: the body has ended (dry), or there is nothing yet (starved).
 */
size_t braid_upload_take(struct braid_upload *upload, char *to, size_t room);

#endif
