/* SPDX-License-Identifier: MIT
 * See the header. */
#include "lua/pool/lworkergarbage.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "core/base/block.h"

enum {
  SOME = 1 << 20,                  /* bytes of garbage that are collected after some idle time */
  MUCH = 64 << 20,                 /* bytes of garbage that are collected between two jobs */
  IDLE = 250 * 1000 * 1000,        /* ns */
  WORTH_TRIMMING = 8 * 1024 * 1024 /* bytes that malloc may hold back from the system */
};

static size_t garbage(struct worker *worker) {
  if (worker->floor == 0 || worker->memory.used < worker->floor) worker->floor = worker->memory.used;
  return worker->memory.used - worker->floor;
}

/* How many bytes malloc may hold back, since the last collection. */
static size_t kept_back(const struct worker *worker) {
  return worker->memory.peak - worker->floor + worker->outside + worker->sched->outside;
}

bool workergarbage_is_much(struct worker *worker) { return garbage(worker) > MUCH + worker->floor; }

int64_t workergarbage_idle_from(struct worker *worker) {
  bool untidy = worker->holds || garbage(worker) + worker->outside + worker->sched->outside >= SOME ||
                kept_back(worker) >= WORTH_TRIMMING;
  return untidy ? braid_clock_now() + IDLE : BRAID_NEVER;
}

void workergarbage_collect(lua_State *L, struct worker *worker) {
  if (lua_gc(L, LUA_GCISRUNNING)) lua_gc(L, LUA_GCCOLLECT);
  worker->floor = worker->memory.used;
  braid_block_trim();
#ifdef __GLIBC__
  if (kept_back(worker) >= WORTH_TRIMMING) malloc_trim(0);
#endif
  worker->memory.peak = worker->floor;
  worker->outside = worker->sched->outside = 0;
  worker->holds = false;
}
