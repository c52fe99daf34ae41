/* SPDX-License-Identifier: MIT
 * What every room of the core uses: fixed-size integers and some macros. */
#ifndef BRAID_BASE_H
#define BRAID_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(sizeof(void *) == 8, "braid needs a system of 64 bits: its counters, clocks and file offsets have them");

/* The structure of `type` whose `member` is at `pointer`. */
#define braid_container(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* For functions that run at each step and have only one or two callers: a call would cost as much as the work. */
#define BRAID_INLINE static inline __attribute__((always_inline))
/* Never inlined: so the code around it needs fewer registers. */
#define BRAID_COLD __attribute__((noinline, cold))

/* A thread-local variable. braid is a library that is loaded late. The usual TLS model then allocates the variable when
 * a thread first uses it, and glibc ends the process when that allocation fails. glibc reserves some static TLS in
 * every thread, so the variable is placed there. */
#ifdef __GLIBC__
#define BRAID_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define BRAID_THREAD_LOCAL _Thread_local
#endif

#endif
