/* SPDX-License-Identifier: MIT
 * What every floor of the core stands on: fixed-size integers and some macros. */
#ifndef BRAID_BASE_H
#define BRAID_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(sizeof(void *) == 8, "braid needs a system of 64 bits: its counters, clocks and file offsets have them");

/* The structure of `type` whose `member` is at `pointer`. */
#define braid_container(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* For what runs at each step and has a caller or two: the call would cost as much as the work. */
#define BRAID_INLINE static inline __attribute__((always_inline))

/* A variable of each thread. In a library that is loaded late the usual model takes memory when a thread first uses
 * one, and ends the process when there is none; glibc has room for some in every thread. */
#ifdef __GLIBC__
#define BRAID_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define BRAID_THREAD_LOCAL _Thread_local
#endif

#endif
