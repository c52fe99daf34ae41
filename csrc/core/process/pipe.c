/* SPDX-License-Identifier: MIT
 * A side that wants to wait first says so, and then looks once more; the other side first moves its counter, and then
 * looks whether somebody waits. Both use sequentially consistent operations, so one of the two sees the other. */
#include "core/process/pipe.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/nameless_file.h"

struct braid_pipes *braid_pipes_map(int fd) {
  void *memory = mmap(NULL, sizeof(struct braid_pipes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

struct braid_pipes *braid_pipes_new(int *fd) {
  *fd = braid_nameless_file_open();
  if (*fd < 0) return NULL;
  struct braid_pipes *pipes = NULL;
  if (!ftruncate(*fd, (off_t)sizeof *pipes)) pipes = braid_pipes_map(*fd);
  if (!pipes) {
    int error = errno;
    close(*fd);
    *fd = -1;
    errno = error;
    return NULL;
  }
  atomic_store(&pipes->down.reader.waits, 1);
  atomic_store(&pipes->up.reader.waits, 1);
  return pipes;
}

void braid_pipes_free(struct braid_pipes *pipes) { munmap(pipes, sizeof *pipes); }

/* How many of `size` bytes from `at` on lie in front of the end of the ring; the others are at its beginning. */
static size_t part_of(uint64_t at, size_t size) {
  size_t first = BRAID_PIPE_SIZE - (size_t)(at % BRAID_PIPE_SIZE);
  return size < first ? size : first;
}

/* Nonsense from the other side counts as no room. */
static size_t room_of(const struct braid_pipe_end *end) {
  uint64_t filled = end->at - atomic_load(&end->pipe->reader.at);
  return filled > BRAID_PIPE_SIZE ? 0 : BRAID_PIPE_SIZE - (size_t)filled;
}

size_t braid_pipe_write(struct braid_pipe_end *end, const char *bytes, size_t size) {
  size_t room = room_of(end);
  if (size > room) size = room;
  if (size == 0) return 0;
  size_t first = part_of(end->at, size);
  memcpy(end->pipe->bytes + end->at % BRAID_PIPE_SIZE, bytes, first);
  memcpy(end->pipe->bytes, bytes + first, size - first);
  end->at += size;
  atomic_store(&end->pipe->writer.at, end->at);
  return size;
}

size_t braid_pipe_filled(const struct braid_pipe_end *end) {
  return (size_t)(atomic_load(&end->pipe->writer.at) - end->at);
}

void braid_pipe_read(struct braid_pipe_end *end, char *into, size_t size) {
  size_t first = part_of(end->at, size);
  memcpy(into, end->pipe->bytes + end->at % BRAID_PIPE_SIZE, first);
  memcpy(into + first, end->pipe->bytes, size - first);
  end->at += size;
  atomic_store(&end->pipe->reader.at, end->at);
}

static bool calls(struct braid_pipe_side *other) {
  return atomic_load(&other->waits) && atomic_exchange(&other->waits, 0);
}

bool braid_pipe_calls_reader(struct braid_pipe_end *end) { return calls(&end->pipe->reader); }
bool braid_pipe_calls_writer(struct braid_pipe_end *end) { return calls(&end->pipe->writer); }

bool braid_pipe_await_bytes(struct braid_pipe_end *end) {
  atomic_store(&end->pipe->reader.waits, 1);
  if (braid_pipe_filled(end) == 0) return true;
  atomic_store(&end->pipe->reader.waits, 0);
  return false;
}

void braid_pipe_take_back(struct braid_pipe_end *end) { atomic_store(&end->pipe->reader.waits, 0); }

bool braid_pipe_await_room(struct braid_pipe_end *end) {
  atomic_store(&end->pipe->writer.waits, 1);
  if (room_of(end) == 0) return true;
  atomic_store(&end->pipe->writer.waits, 0);
  return false;
}
