/* SPDX-License-Identifier: MIT
 * Kernels on all cores: a *team* is one kernel on native threads. Its first thread, the leader, runs the kernel; where
 * that comes to a loop over a range, idle threads help with chunks of it.
 *
 * The threads are one crew for the whole process, made when they are first needed: BRAID_THREADS of them (default: the
 * cores that the process may use), more only where a team asks for more. They rest between kernels and stay until the
 * process ends. Kernels beyond their number wait for their turn. A loop inside a body runs on that body's thread, so
 * nested loops do not multiply threads.
 *
 * What a kernel computes must not depend on how many threads there are. That is so when it is a function of the
 * chunks, whose borders depend on count and grain alone: let bodies write what they found by chunk (first / grain),
 * and combine those in their order.
 *
 *   static void square(void *context, size_t first, size_t last) {
 *     double *v = context;
 *     for (size_t i = first; i < last; i++) v[i] *= v[i];
 *   }
 *   static void run(struct braid_team *team, void *arguments) {      // the kernel
 *     if (!braid_team_for(team, count, 8192, square, arguments)) return;   // stopped
 *   }
 *
 * Lua starts kernels by lua/kernels/lkernel.h. */
#ifndef BRAID_CREW_H
#define BRAID_CREW_H

#include "core/loop/waiter.h"

enum { BRAID_TEAM_MOST = 256 };

struct braid_team;

/* The kernel. team NULL: small work, which is done on the thread that asked for it. */
typedef void braid_team_run(struct braid_team *team, void *arguments);

/* One chunk of a loop, 0 <= first < last <= count. */
typedef void braid_team_body(void *context, size_t first, size_t last);

/* ---- inside a kernel: on the thread that runs it, or in a body. `team` may be NULL: then all is done here and now -
 */

/* Calls the body for each chunk: first is a multiple of grain, last - first is grain, less for the last one. grain 0
 * stands for 64 chunks. The calling thread takes part; blocks until all are done. False: stopped, some were left out.
 */
bool braid_team_for(struct braid_team *team, size_t count, size_t grain, braid_team_body *body, void *context);

/* Whether the kernel is to end: for loops of its own, which should look every few milliseconds. */
bool braid_team_stopped(const struct braid_team *team);

/* How many threads at most are in a loop at once; 1 for NULL. */
unsigned braid_team_size(const struct braid_team *team);

/* In a body: which of those the calling thread is, 0 to size - 1. No two that run at the same time have the same, so
 * scratch memory can be had for each seat. 0 elsewhere. */
unsigned braid_team_seat(void);

/* ---- outside -------------------------------------------------------------------------------------------------- */

/* Starts a kernel on up to `threads` threads (0: as many as the crew has). The arguments must live until the team has
 * ended. One reference for the caller. NULL and errno when memory is out or there is no thread. Any thread; does not
 * block. */
struct braid_team *braid_team_start(braid_team_run *run, void *arguments, unsigned threads);

/* BRAID_OK when it has ended; else BRAID_WAIT, and the wait node's waiter will be woken. Any thread; does not block. */
enum braid_status braid_team_join(struct braid_team *team, struct braid_wait_node *node);

/* Asks it to end: one that has not begun never does; a loop ends with the chunks that are being done. Any thread; does
 * not block. */
void braid_team_stop(struct braid_team *team);

/* Blocks until it has ended. Any thread but the crew's. */
void braid_team_await(struct braid_team *team);

/* Any thread; does not block. */
void braid_team_unref(struct braid_team *team);

/* How many threads a team gets that asks for 0; 0 when BRAID_THREADS is no number from 1 to BRAID_TEAM_MOST, and then a
 * team must ask. Any thread; the first call reads a file. */
unsigned braid_team_default(void);

#endif
