/* SPDX-License-Identifier: MIT
 * The thread owns the cancel object and the end of a pipe. When it has asked, it closes this end. */
#include "core/postgres/cancel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct errand {
  PGcancel *cancel;
  int end; /* of the pipe, for writing */
};

static void *ask(void *argument) {
  struct errand *errand = argument;
  char reason[256];
  PQcancel(errand->cancel, reason, sizeof reason); /* a server that cannot be asked does not answer the query either */
  PQfreeCancel(errand->cancel);
  close(errand->end);
  free(errand);
  return NULL;
}

/* Starts a thread that blocks every signal: the main thread handles them. */
static int start(struct errand *errand) {
  pthread_t thread;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread, NULL, ask, errand);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!error) pthread_detach(thread);
  return error;
}

int braid_postgres_cancel(PGcancel *cancel) {
  int ends[2];
  struct errand *errand = malloc(sizeof *errand);
  if (!errand) return -ENOMEM;
  if (pipe(ends)) {
    free(errand);
    return -errno;
  }
  for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFD, FD_CLOEXEC);
  *errand = (struct errand){cancel, ends[1]};
  int error = start(errand);
  if (!error) return ends[0];
  close(ends[0]);
  close(ends[1]);
  free(errand);
  return -error;
}
