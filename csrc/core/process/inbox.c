/* SPDX-License-Identifier: MIT
 * Descriptors are kept in the order of their frames. */
#include "core/process/inbox.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  FIRST_IN = 64 * 1024, /* bytes read at once */
  KEPT_IN = 1024 * 1024 /* a larger buffer is freed when it is empty */
};

void braid_inbox_init(struct braid_inbox *inbox) {
  *inbox = (struct braid_inbox){.handled = 0};
  braid_buffer_init(&inbox->bytes);
}

static int take_first(struct braid_inbox *inbox) {
  int first = inbox->descriptors[0];
  memmove(inbox->descriptors, inbox->descriptors + 1, --inbox->descriptor_count * sizeof first);
  return first;
}

void braid_inbox_term(struct braid_inbox *inbox) {
  while (inbox->descriptor_count > 0) {
    int left = take_first(inbox);
    if (left >= 0) close(left);
  }
  braid_buffer_term(&inbox->bytes);
}

/* ---- receive -------------------------------------------------------------------------------------------------- */

/* Keeps a descriptor, or closes it when there are too many. Returns the fault or NULL. */
static const char *keep(struct braid_inbox *inbox, int descriptor) {
  if (inbox->descriptor_count < BRAID_INBOX_DESCRIPTORS) {
    inbox->descriptors[inbox->descriptor_count++] = descriptor;
    return NULL;
  }
  if (descriptor >= 0) close(descriptor);
  return "descriptors came that belong to no frame";
}

/* One system call brings at most one descriptor: the kernel does not read on behind bytes that came with one. If the
 * process has no free descriptor the kernel sets MSG_CTRUNC; then -1 takes the lost one's place. The buffer has room
 * for one header only. (CMSG_NXTHDR, which would look for a second one, gives warnings with musl's headers.) */
static const char *keep_all(struct braid_inbox *inbox, struct msghdr *head) {
  const char *fault = NULL;
  size_t count = 0;
  struct cmsghdr *first = CMSG_FIRSTHDR(head);
  if (first && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_RIGHTS)
    count = (first->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < count; i++) {
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(first) + i * sizeof(int), sizeof descriptor);
    const char *why = keep(inbox, descriptor);
    if (!fault) fault = why;
  }
  if (fault || !(head->msg_flags & MSG_CTRUNC)) return fault;
  return count > 0 ? "more descriptors came at once than travel with a frame" : keep(inbox, -1);
}

static ssize_t receive(struct braid_inbox *inbox, int fd, char *room, size_t size, const char **fault) {
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec vector = {room, size};
  struct msghdr head = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
  ssize_t got;
  do got = recvmsg(fd, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  const char *why = got > 0 ? keep_all(inbox, &head) : NULL;
  if (why) *fault = why;
  return got;
}

/* How many bytes to read: the rest of the frame that has begun, but at most as many as have come so far, because the
 * frame's size may be false. */
static size_t wanted(const struct braid_inbox *inbox) {
  struct braid_frame frame;
  if (inbox->bytes.size < sizeof frame) return FIRST_IN;
  memcpy(&frame, inbox->bytes.data, sizeof frame);
  size_t rest = sizeof frame + (size_t)frame.size - inbox->bytes.size;
  size_t most = inbox->bytes.size > FIRST_IN ? inbox->bytes.size : FIRST_IN;
  return rest > FIRST_IN && rest < most ? rest : most;
}

ssize_t braid_inbox_receive(struct braid_inbox *inbox, int fd, bool *full, const char **fault) {
  size_t want = wanted(inbox);
  char *room = braid_buffer_reserve(&inbox->bytes, want);
  if (!room) {
    errno = ENOMEM;
    return -1;
  }
  ssize_t got = receive(inbox, fd, room, want, fault);
  if (got > 0) inbox->bytes.size += (size_t)got;
  *full = got > 0 && (size_t)got == want;
  return got;
}

/* ---- pipes ---------------------------------------------------------------------------------------------------- */

ssize_t braid_inbox_take_call(struct braid_inbox *inbox, int fd, const char **fault) {
  char calls[256];
  ssize_t got = receive(inbox, fd, calls, sizeof calls, fault);
  if (got > 0 && (unsigned char)calls[0] != BRAID_PIPE_CALL) inbox->without_pipe = true;
  for (ssize_t i = 1; i < got && !inbox->without_pipe; i++)
    if ((unsigned char)calls[i] != BRAID_PIPE_CALL) *fault = "the socket has bytes that nobody can have sent";
  if (got > 0 && inbox->without_pipe && !braid_buffer_append(&inbox->bytes, calls, (size_t)got)) {
    errno = ENOMEM;
    return -1;
  }
  return got;
}

ssize_t braid_inbox_draw(struct braid_inbox *inbox, struct braid_pipe_end *pipe) {
  size_t size = braid_pipe_filled(pipe);
  if (size > BRAID_PIPE_SIZE) {
    errno = EBADMSG;
    return -1;
  }
  char *room = size > 0 ? braid_buffer_reserve(&inbox->bytes, size) : NULL;
  if (!room) {
    errno = ENOMEM;
    return size > 0 ? -1 : 0;
  }
  braid_pipe_read(pipe, room, size);
  inbox->bytes.size += size;
  return (ssize_t)size;
}

/* ---- frames --------------------------------------------------------------------------------------------------- */

int braid_inbox_claim(struct braid_inbox *inbox) {
  if (inbox->claimable == 0) return -1;
  inbox->claimable--;
  return take_first(inbox);
}

void braid_inbox_close_rest(struct braid_inbox *inbox) {
  while (inbox->claimable > 0) {
    int left = braid_inbox_claim(inbox);
    if (left >= 0) close(left);
  }
}

void braid_inbox_shift(struct braid_inbox *inbox) {
  struct braid_buffer *bytes = &inbox->bytes;
  if (inbox->handled > 0) memmove(bytes->data, bytes->data + inbox->handled, bytes->size - inbox->handled);
  bytes->size -= inbox->handled;
  inbox->handled = 0;
  if (bytes->size == 0 && bytes->capacity > KEPT_IN) braid_buffer_term(bytes);
}
