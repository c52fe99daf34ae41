/* SPDX-License-Identifier: MIT
 * What every floor of the core stands on: fixed-size integers and two macros. */
#ifndef BRAID_BASE_H
#define BRAID_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The structure of `type` whose `member` is at `pointer`. */
#define braid_container(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* For what runs at each step and has a caller or two: the call would cost as much as the work. */
#define BRAID_INLINE static inline __attribute__((always_inline))

#endif
