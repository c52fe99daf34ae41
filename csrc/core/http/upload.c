/* SPDX-License-Identifier: MIT
 * A buffer that is filled at its end and emptied at its start. */
#include "core/http/upload.h"

#include <string.h>

void braid_upload_reset(struct braid_upload *upload) {
  upload->data.size = upload->sent = 0;
  upload->ended = upload->starved = upload->dry = false;
}

void braid_upload_term(struct braid_upload *upload) {
  braid_upload_reset(upload);
  braid_buffer_term(&upload->data);
}

void braid_upload_shrink(struct braid_upload *upload) {
  enum { MOST_KEPT = 64 * 1024 };
  if (upload->data.capacity > MOST_KEPT) braid_upload_term(upload);
}

bool braid_upload_give(struct braid_upload *upload, const char *data, size_t size) {
  if (upload->sent > 0) {
    upload->data.size -= upload->sent;
    memmove(upload->data.data, upload->data.data + upload->sent, upload->data.size);
    upload->sent = 0;
  }
  return braid_buffer_append(&upload->data, data, size);
}

size_t braid_upload_take(struct braid_upload *upload, char *to, size_t room) {
  size_t left = upload->data.size - upload->sent, size = left < room ? left : room;
  if (size > 0) memcpy(to, upload->data.data + upload->sent, size);
  upload->sent += size;
  upload->dry = size == 0 && upload->ended;
  upload->starved = size == 0 && !upload->ended;
  return size;
}
