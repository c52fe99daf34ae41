/* SPDX-License-Identifier: MIT
 * The bytes and descriptors that came from a socket, or the bytes from a pipe, and the frames in them. The I/O thread;
 * nothing blocks. */
#ifndef BRAID_INBOX_H
#define BRAID_INBOX_H

#include <string.h>
#include <sys/types.h>

#include "core/base/buffer.h"
#include "core/process/frame.h"
#include "core/process/pipe.h"

enum { BRAID_INBOX_DESCRIPTORS = 4 };

struct braid_inbox {
  struct braid_buffer bytes;
  size_t handled;                           /* bytes of frames that are already handled */
  int descriptors[BRAID_INBOX_DESCRIPTORS]; /* of frames not yet handled; -1: one that was lost */
  unsigned descriptor_count, claimable;     /* claimable: how many belong to the frame that is being handled */
  bool without_pipe; /* the other end could not map the pipe, and sends frames through the socket */
};

void braid_inbox_init(struct braid_inbox *inbox);
void braid_inbox_term(struct braid_inbox *inbox);

/* Reads once. Returns the number of bytes; 0: the other end has closed; -1 and errno, ENOMEM when there is no memory
 * for more. *full: it got as many as it asked for, so there may be more. *fault: set when unexpected descriptors came;
 * else unchanged. */
ssize_t braid_inbox_receive(struct braid_inbox *inbox, int fd, bool *full, const char **fault);

/* For a connection with a pipe: its socket brings only calls and descriptors. Reads once. 0: the other end has closed;
 * else as above. What comes instead of a call, from a process that could not map the pipe, is added to the bytes. */
ssize_t braid_inbox_take_call(struct braid_inbox *inbox, int fd, const char **fault);

/* Reads all that is in the pipe. Returns the number of bytes; -1 and errno: ENOMEM, or EBADMSG for nonsense in it. */
ssize_t braid_inbox_draw(struct braid_inbox *inbox, struct braid_pipe_end *pipe);

/* Copies the head of the next frame. False: it has not come yet. */
static inline bool braid_inbox_next(const struct braid_inbox *inbox, struct braid_frame *frame) {
  if (inbox->bytes.size - inbox->handled < sizeof *frame) return false;
  memcpy(frame, inbox->bytes.data + inbox->handled, sizeof *frame);
  return true;
}

/* Whether the whole frame with this head has come. */
static inline bool braid_inbox_is_whole(const struct braid_inbox *inbox, const struct braid_frame *frame) {
  return frame->size <= inbox->bytes.size - inbox->handled - sizeof *frame;
}

/* Begins to handle the next frame, which is whole. Returns its body; NULL: its descriptor has not come. */
static inline const char *braid_inbox_begin(struct braid_inbox *inbox, const struct braid_frame *frame) {
  if (frame->descriptors > inbox->descriptor_count) return NULL;
  inbox->claimable = frame->descriptors;
  return inbox->bytes.data + inbox->handled + sizeof *frame;
}

/* braid_inbox_claim returns a descriptor of the frame that is being handled; the caller owns it. -1: there is none, or
 * it was lost. braid_inbox_close_rest closes the descriptors that were not claimed. */
int braid_inbox_claim(struct braid_inbox *inbox);
void braid_inbox_close_rest(struct braid_inbox *inbox);

/* Ends the handling of the frame. */
static inline void braid_inbox_end(struct braid_inbox *inbox, const struct braid_frame *frame) {
  if (inbox->claimable > 0) braid_inbox_close_rest(inbox);
  inbox->handled += sizeof *frame + (size_t)frame->size;
}

/* Removes handled frames from the buffer. */
void braid_inbox_shift(struct braid_inbox *inbox);

#endif
