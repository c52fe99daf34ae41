/* SPDX-License-Identifier: MIT
 * Bytes and descriptors that a socket has brought, and the frames in them. The I/O thread; nothing blocks. */
#ifndef BRAID_INBOX_H
#define BRAID_INBOX_H

#include <string.h>
#include <sys/types.h>

#include "core/base/buffer.h"
#include "core/process/frame.h"

enum { BRAID_INBOX_DESCRIPTORS = 4 };

struct braid_inbox {
  struct braid_buffer bytes;
  size_t handled;                           /* so many of them are of frames that are handled */
  int descriptors[BRAID_INBOX_DESCRIPTORS]; /* of frames that are not handled; -1: one that was lost */
  unsigned descriptor_count, claimable;     /* claimable: how many are of the frame that is being handled */
};

void braid_inbox_init(struct braid_inbox *inbox);
void braid_inbox_term(struct braid_inbox *inbox);

/* Reads once: how many bytes; 0: the other end is gone; -1 and errno, ENOMEM: there is no memory for more. *full: as
 * many as were asked for, so there may be more. *fault: why descriptors came that are no protocol; else it is left
 * alone. */
ssize_t braid_inbox_receive(struct braid_inbox *inbox, int fd, bool *full, const char **fault);

/* The head of the next frame; false: it is not there. */
static inline bool braid_inbox_next(const struct braid_inbox *inbox, struct braid_frame *frame) {
  if (inbox->bytes.size - inbox->handled < sizeof *frame) return false;
  memcpy(frame, inbox->bytes.data + inbox->handled, sizeof *frame);
  return true;
}

/* Whether all of the next frame, whose head this is, is there. */
static inline bool braid_inbox_is_whole(const struct braid_inbox *inbox, const struct braid_frame *frame) {
  return frame->size <= inbox->bytes.size - inbox->handled - sizeof *frame;
}

/* Begins the next frame, which is whole: its body. NULL: its descriptor has not come. */
static inline const char *braid_inbox_begin(struct braid_inbox *inbox, const struct braid_frame *frame) {
  if (frame->descriptors > inbox->descriptor_count) return NULL;
  inbox->claimable = frame->descriptors;
  return inbox->bytes.data + inbox->handled + sizeof *frame;
}

/* Of the frame that has begun: a descriptor, which is the caller's from here on; -1: there is none, or it was lost on
 * the way. Closes those that nobody has claimed. */
int braid_inbox_claim(struct braid_inbox *inbox);
void braid_inbox_close_rest(struct braid_inbox *inbox);

/* The frame that has begun is handled. */
static inline void braid_inbox_end(struct braid_inbox *inbox, const struct braid_frame *frame) {
  if (inbox->claimable > 0) braid_inbox_close_rest(inbox);
  inbox->handled += sizeof *frame + (size_t)frame->size;
}

/* Makes room in place of frames that are handled. */
void braid_inbox_shift(struct braid_inbox *inbox);

#endif
