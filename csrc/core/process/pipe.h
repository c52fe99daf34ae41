/* SPDX-License-Identifier: MIT
 * Bytes from one process to another through memory that both map: a ring. Writing and reading need no system call. A
 * side that finds nothing to do says that it waits; the other side then has to wake it, by other means (connection.c:
 * a byte on the socket).
 *
 * Neither side trusts the other: it keeps its own counter itself, and checks the other one. At each end one thread at a
 * time. Nothing blocks. */
#ifndef BRAID_PIPE_H
#define BRAID_PIPE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "core/base/base.h"

enum { BRAID_PIPE_SIZE = 64 * 1024, BRAID_PIPE_LINE = 128 }; /* bytes; LINE keeps the two sides' fields apart */

/* The byte on the socket that wakes the other side. No frame begins with it, and it is rare in other texts: so bytes
 * that a library wrote into the wrong descriptor are found out. */
enum { BRAID_PIPE_CALL = 0xC5 };

struct braid_pipe_side {
  _Atomic uint64_t at;    /* how many bytes this side has written, or read */
  _Atomic uint32_t waits; /* this side wants to be woken */
  char gap[BRAID_PIPE_LINE - sizeof(uint64_t) - sizeof(uint32_t) - 4];
};

struct braid_pipe {
  struct braid_pipe_side writer, reader;
  char bytes[BRAID_PIPE_SIZE];
};

/* Both directions between a process and its worker. */
struct braid_pipes {
  struct braid_pipe down, up; /* down: to the worker */
};

/* One side of a pipe, as its process knows it. */
struct braid_pipe_end {
  struct braid_pipe *pipe; /* NULL: none */
  uint64_t at;
};

/* Makes and maps a pair whose readers wait. The caller owns *fd, to pass it to the worker. NULL and errno when the
 * system refuses. */
struct braid_pipes *braid_pipes_new(int *fd);

/* Maps the pair of the other process; NULL and errno when the system refuses. Unmaps it. */
struct braid_pipes *braid_pipes_map(int fd);
void braid_pipes_free(struct braid_pipes *pipes);

/* Writes as many of the bytes as there is room for. Returns how many. */
size_t braid_pipe_write(struct braid_pipe_end *end, const char *bytes, size_t size);

/* How many bytes can be read. More than BRAID_PIPE_SIZE: the other process has written nonsense. */
size_t braid_pipe_filled(const struct braid_pipe_end *end);

/* Reads so many bytes, which must be there. */
void braid_pipe_read(struct braid_pipe_end *end, char *into, size_t size);

/* To be called after a write, and after a read: whether the other side waits and must be woken. */
bool braid_pipe_calls_reader(struct braid_pipe_end *end);
bool braid_pipe_calls_writer(struct braid_pipe_end *end);

/* Says that this side waits. False: there is something to read, or room to write, so it must not wait. */
bool braid_pipe_await_bytes(struct braid_pipe_end *end);
bool braid_pipe_await_room(struct braid_pipe_end *end);

/* The reader waits no longer, for it looks. */
void braid_pipe_take_back(struct braid_pipe_end *end);

#endif
