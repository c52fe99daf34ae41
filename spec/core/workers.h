/* SPDX-License-Identifier: MIT
 * For C tests: workers as their pool knows them, without processes. Each has its job flags, and a connection whose
 * other end is the test's. One thread, with one loop. */
#ifndef BRAID_WORKERS_H
#define BRAID_WORKERS_H

#include <fcntl.h>
#include <sys/socket.h>

#include "core/process/marshal.h"
#include "core/process/worker_handle.h"
#include "check.h"

enum { WORKERS = 3 };

struct workers {
  struct braid_io_thread io_thread;
  struct braid_worker_handle workers[WORKERS];
  int ends[WORKERS];
  unsigned slots;
};

static inline void workers_open(struct workers *w, unsigned slots) {
  memset(w, 0, sizeof *w);
  w->io_thread.users = 1;
  w->slots = slots;
  check(braid_loop_open(&w->io_thread.loop) == 0);
  braid_children_init(&w->io_thread.children, &w->io_thread.loop);
  for (unsigned i = 0; i < WORKERS; i++) {
    int ends[2], fd;
    struct braid_worker_handle *worker = &w->workers[i];
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    check(braid_worker_handle_init(worker, NULL, i, slots));
    check(braid_connection_open(&worker->connection, &w->io_thread, ends[0], &braid_marshal) == 0);
    worker->flags = braid_job_flags_new(slots, &fd);
    check(worker->flags != NULL);
    close(fd);
    w->ends[i] = ends[1];
    worker->usable = worker->ready = true;
  }
}

static inline void workers_close(struct workers *w) {
  for (unsigned i = 0; i < WORKERS; i++) {
    braid_worker_handle_close(&w->workers[i]);
    braid_worker_handle_term(&w->workers[i]);
    close(w->ends[i]);
  }
  braid_children_term(&w->io_thread.children);
  braid_loop_close(&w->io_thread.loop);
}

static inline struct braid_job *workers_job(void) {
  struct braid_job *job = braid_job_new(braid_message_new("", 0, NULL, 0), NULL);
  braid_job_unref(job); /* one reference is enough here */
  return job;
}

/* As the worker does. */
static inline bool workers_begin_job(struct braid_job *job) {
  return braid_job_flag_take(atomic_load(&job->flag), job->ticket, BRAID_JOB_FLAG_BEGUN);
}

/* How many frames of this kind have come to the other end; *last is the last of them. All are read. */
static inline int workers_frames(struct workers *w, int which, unsigned kind, struct braid_frame *last) {
  char bytes[65536];
  ssize_t size = recv(w->ends[which], bytes, sizeof bytes, 0);
  int count = 0;
  for (ssize_t at = 0; at + (ssize_t)sizeof *last <= size;) {
    struct braid_frame frame;
    memcpy(&frame, bytes + at, sizeof frame);
    check(frame.magic == BRAID_FRAME_MAGIC);
    if (frame.kind == kind) *last = frame, count++;
    at += (ssize_t)(sizeof frame + frame.size);
  }
  return count;
}

#endif
