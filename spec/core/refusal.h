/* SPDX-License-Identifier: MIT
 * For C tests: a thread to which the system refuses one call. A filter of seccomp cannot be taken away again, so it is
 * the thread's alone, and that of the threads which it starts. Where there is no seccomp nothing is run. */
#ifndef BRAID_REFUSAL_H
#define BRAID_REFUSAL_H

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#ifdef __linux__
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* By which call the C library opens a file. */
#if defined(__GLIBC__) || !defined(SYS_open)
#define REFUSAL_OPEN SYS_openat
#else
#define REFUSAL_OPEN SYS_open
#endif

struct refusal {
  long call, other;
  int error;
  void (*body)(void);
};

/* Valgrind makes the calls of a program itself, and a filter does not meet them. */
static inline bool refusal_is_met(void) {
  const char *preload = getenv("LD_PRELOAD");
  return !preload || !strstr(preload, "vgpreload");
}

static inline bool refusal_begins(const struct refusal *refusal) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refusal->call, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refusal->other, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)refusal->error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static inline void *refusal_run(void *argument) {
  const struct refusal *refusal = argument;
  if (refusal_is_met() && refusal_begins(refusal)) refusal->body();
  return NULL;
}

static inline void refusal_begin(struct refusal refusal) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, refusal_run, &refusal) == 0) pthread_join(thread, NULL);
}

/* Runs the body on a thread on which the system call (SYS_...) fails with this error. */
static inline void refuse_call(long call, int error, void (*body)(void)) {
  refusal_begin((struct refusal){call, call, error, body});
}

/* The same for the start of a thread, for which libraries have two calls. */
static inline void refuse_threads(int error, void (*body)(void)) {
  refusal_begin((struct refusal){SYS_clone3, SYS_clone, error, body});
}
#endif

#endif
