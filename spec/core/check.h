/* SPDX-License-Identifier: MIT
 * A C test is a function that calls check; a file of them is a program that reports TAP (see tools/suite.lua).
 * check may be called from any thread. A test that takes longer than CHECK_SECONDS ends the program. */
#ifndef BRAID_CHECK_H
#define BRAID_CHECK_H

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHECK_SECONDS = 20, CHECK_TOLD = 5 };

struct check_test {
  const char *name;
  void (*body)(void);
};

static atomic_int check_failures;       /* of the test that runs */
static const char *volatile check_name; /* the test that runs */

/* Goes on after a failure: the other threads of the test must come to their end too. */
#define check(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

static inline void check_failed(const char *file, int line, const char *condition) {
  if (atomic_fetch_add(&check_failures, 1) < CHECK_TOLD) printf("#   %s:%d: %s\n", file, line, condition);
}

static inline int check_slowness(void) {
  const char *slowness = getenv("BRAID_SLOWNESS");
  return slowness ? atoi(slowness) : 1;
}

static void check_too_slow(int signal) {
  (void)signal;
  const char message[] = "deadline passed: ";
  if (write(2, message, sizeof message - 1) < 0 || write(2, check_name, strlen(check_name)) < 0) _exit(3);
  abort();
}

/* A number that looks random, and is the same in every run. Each thread has its own state, which is not 0. */
static inline uint32_t check_random(uint32_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

static inline int check_run(const struct check_test *tests, int count) {
  int failed = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGALRM, check_too_slow);
  for (int i = 0; i < count; i++) {
    check_name = tests[i].name;
    atomic_store(&check_failures, 0);
    alarm((unsigned)(CHECK_SECONDS * check_slowness()));
    tests[i].body();
    alarm(0);
    failed += atomic_load(&check_failures) > 0;
    printf("%s - %s\n", atomic_load(&check_failures) > 0 ? "not ok" : "ok", tests[i].name);
  }
  printf("1..%d\n", count);
  return failed > 0;
}

#define CHECK_MAIN(...)                                                                                                \
  int main(void) {                                                                                                     \
    static const struct check_test tests[] = {__VA_ARGS__};                                                            \
    return check_run(tests, (int)(sizeof tests / sizeof *tests));                                                      \
  }

#endif
