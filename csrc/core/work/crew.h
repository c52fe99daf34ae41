/* SPDX-License-Identifier: MIT
 * Kernels on all cores. A *team* is one kernel on native threads. Its first thread, the leader, runs the kernel. When
 * the kernel comes to a loop over a range, idle threads help: each runs chunks of the range.
 *
 * All threads together are the *crew*; the process has one. Its threads start when they are first needed: BRAID_THREADS
 * of them (default: the number of cores that the process may use), and more only when a team asks for more. They sleep
 * between kernels and stay until the process ends. When all threads are busy, a new kernel waits for one. A loop inside
 * a body runs on that body's thread, so nested loops do not multiply threads.
 *
 * The result of a kernel must not depend on the number of threads. The borders of the chunks depend on count and grain
 * alone. So a body should write its result by the number of its chunk (first / grain), and the kernel should combine
 * the results in that order.
 *
 *   static void square(void *context, size_t first, size_t last) {
 *     double *v = context;
 *     for (size_t i = first; i < last; i++) v[i] *= v[i];
 *   }
 *   static void run(struct braid_team *team, void *arguments) {      // the kernel
 *     if (!braid_team_for(team, count, 8192, square, arguments)) return;   // stopped
 *   }
 *
 * Lua code starts kernels through lua/kernels/lkernel.h. */
#ifndef BRAID_CREW_H
#define BRAID_CREW_H

#include "core/loop/waiter.h"

enum { BRAID_TEAM_MOST = 256 };

struct braid_team;

/* The kernel itself. `team` is NULL for small work, which runs on the calling thread. */
typedef void braid_team_run(struct braid_team *team, void *arguments);

/* Runs one chunk of a loop, 0 <= first < last <= count. */
typedef void braid_team_body(void *context, size_t first, size_t last);

/* ---- inside a kernel or a body, on its thread. With team NULL everything runs on the calling thread. ---- */

/* Calls the body for each chunk. `first` is a multiple of grain; each chunk has `grain` elements, the last one may have
 * fewer. grain 0 makes at most 64 chunks. The calling thread takes part. Blocks until all chunks are done. False: the
 * team was stopped, and chunks were left out. */
bool braid_team_for(struct braid_team *team, size_t count, size_t grain, braid_team_body *body, void *context);

/* Whether the kernel is asked to end. A kernel with long loops of its own should check this every few milliseconds.
 * Does not block. */
bool braid_team_stopped(const struct braid_team *team);

/* The flag behind braid_team_stopped, for code that was compiled apart: it is not 0 after the stop. It lives as long as
 * the team; for NULL, a flag that stays 0. Does not block. */
const volatile unsigned char *braid_team_flag(const struct braid_team *team);

/* The most threads that run a loop at the same time; 1 for NULL. Does not block. */
unsigned braid_team_size(const struct braid_team *team);

/* In a body: the number of the calling thread, 0 to size - 1. No two threads that run at the same time have the same,
 * so a kernel can have scratch memory for each seat. 0 outside of bodies. Does not block. */
unsigned braid_team_seat(void);

/* ---- outside -------------------------------------------------------------------------------------------------- */

/* Starts a kernel on up to `threads` threads (0: the default size). The arguments must live until the team has ended.
 * The caller gets one reference. NULL and errno when memory is out or no thread can be started. Any thread; does not
 * block. */
struct braid_team *braid_team_start(braid_team_run *run, void *arguments, unsigned threads);

/* BRAID_OK: the team has ended. Else BRAID_WAIT: its end will claim the wait node's waiter. Any thread; does not
 * block. */
enum braid_status braid_team_join(struct braid_team *team, struct braid_wait_node *node);

/* Asks the team to end. A kernel that has not begun never begins; a loop ends after the chunks that run now. Any
 * thread; does not block. */
void braid_team_stop(struct braid_team *team);

/* Blocks until the team has ended. Any thread but the crew's. */
void braid_team_await(struct braid_team *team);

/* Any thread; does not block. */
void braid_team_unref(struct braid_team *team);

/* The size of a team that asks for 0 threads. It is 0 when BRAID_THREADS is not a number from 1 to BRAID_TEAM_MOST;
 * then a team must ask for a number. Any thread; the first call reads a file. */
unsigned braid_team_default(void);

#endif
