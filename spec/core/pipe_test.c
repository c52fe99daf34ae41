/* SPDX-License-Identifier: MIT
 * Pipes: bytes between two threads, as between two processes; and a side that lies. */
#include "core/process/pipe.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "check.h"

static struct braid_pipes *pipes;
static struct braid_pipe_end writer, reader;

static void begin(void) {
  int fd;
  pipes = braid_pipes_new(&fd);
  check(pipes != NULL);
  struct braid_pipes *again = braid_pipes_map(fd); /* as the other process does */
  check(again != NULL && again != pipes);
  close(fd);
  writer = (struct braid_pipe_end){&pipes->down, 0};
  reader = (struct braid_pipe_end){&again->down, 0};
}

static void end(void) {
  braid_pipes_free((struct braid_pipes *)(void *)reader.pipe); /* `down` is the first */
  braid_pipes_free(pipes);
}

static void bytes_go_round_the_ring(void) {
  static char sent[BRAID_PIPE_SIZE], got[BRAID_PIPE_SIZE];
  begin();
  for (size_t i = 0; i < sizeof sent; i++) sent[i] = (char)(i * 7 + i / 256);
  for (size_t size = 1; size < sizeof sent; size += 4099) {
    check(braid_pipe_write(&writer, sent, size) == size && braid_pipe_filled(&reader) == size);
    memset(got, 0, sizeof got);
    braid_pipe_read(&reader, got, size);
    check(memcmp(sent, got, size) == 0 && braid_pipe_filled(&reader) == 0);
  }
  end();
}

static void a_full_one_takes_what_it_can(void) {
  static char bytes[BRAID_PIPE_SIZE + 10];
  begin();
  check(braid_pipe_write(&writer, bytes, sizeof bytes) == BRAID_PIPE_SIZE);
  check(braid_pipe_write(&writer, bytes, 1) == 0 && braid_pipe_await_room(&writer));
  braid_pipe_read(&reader, bytes, 3);
  check(braid_pipe_calls_writer(&reader) && !braid_pipe_calls_writer(&reader));
  check(braid_pipe_write(&writer, bytes, 10) == 3);
  braid_pipe_read(&reader, bytes, 2);
  check(!braid_pipe_await_room(&writer) && !braid_pipe_calls_writer(&reader)); /* there is room: it does not wait */
  end();
}

static void a_reader_waits_from_the_beginning(void) {
  char byte = 1;
  begin();
  check(braid_pipe_write(&writer, &byte, 1) == 1);
  check(braid_pipe_calls_reader(&writer) && !braid_pipe_calls_reader(&writer));
  check(!braid_pipe_await_bytes(&reader));
  braid_pipe_read(&reader, &byte, 1);
  check(braid_pipe_await_bytes(&reader) && braid_pipe_calls_reader(&writer));
  end();
}

static void counters_that_lie_are_noticed(void) {
  char byte = 1;
  begin();
  atomic_store(&writer.pipe->reader.at, 5); /* what nobody has written */
  check(braid_pipe_write(&writer, &byte, 1) == 0);
  atomic_store(&reader.pipe->writer.at, (uint64_t)BRAID_PIPE_SIZE + 1);
  check(braid_pipe_filled(&reader) > BRAID_PIPE_SIZE);
  end();
}

/* ---- two threads ------------------------------------------------------------------------------------------------ */

enum { TOTAL = 8 * 1024 * 1024 };
static atomic_int calls_of_reader, calls_of_writer;

static void await(atomic_int *calls) {
  while (atomic_load(calls) == 0) sched_yield();
  atomic_fetch_sub(calls, 1);
}

static void *write_all(void *ignored) {
  (void)ignored;
  char bytes[1000];
  for (size_t done = 0; done < TOTAL;) {
    size_t size = done % sizeof bytes + 1;
    for (size_t i = 0; i < size; i++) bytes[i] = (char)((done + i) * 31 >> 3);
    size_t written = braid_pipe_write(&writer, bytes, size < TOTAL - done ? size : TOTAL - done);
    done += written;
    if (written > 0 && braid_pipe_calls_reader(&writer)) atomic_fetch_add(&calls_of_reader, 1);
    if (written == 0 && braid_pipe_await_room(&writer)) await(&calls_of_writer);
  }
  return NULL;
}

static void no_call_is_lost(void) {
  static char bytes[BRAID_PIPE_SIZE];
  pthread_t thread;
  bool sound = true;
  begin();
  check(pthread_create(&thread, NULL, write_all, NULL) == 0);
  await(&calls_of_reader); /* it waits from the beginning */
  for (size_t done = 0; done < TOTAL;) {
    size_t size = braid_pipe_filled(&reader);
    if (size == 0 && braid_pipe_await_bytes(&reader)) await(&calls_of_reader);
    if (size == 0) continue;
    braid_pipe_read(&reader, bytes, size);
    for (size_t i = 0; i < size; i++) sound = sound && bytes[i] == (char)((done + i) * 31 >> 3);
    done += size;
    if (braid_pipe_calls_writer(&reader)) atomic_fetch_add(&calls_of_writer, 1);
  }
  check(sound);
  pthread_join(thread, NULL);
  end();
}

CHECK_MAIN({"pipe: bytes go round the ring", bytes_go_round_the_ring},
           {"pipe: a full one takes what it can", a_full_one_takes_what_it_can},
           {"pipe: a reader waits from the beginning", a_reader_waits_from_the_beginning},
           {"pipe: counters that lie are noticed", counters_that_lie_are_noticed},
           {"pipe: no call is lost", no_call_is_lost})
