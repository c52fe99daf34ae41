/* SPDX-License-Identifier: MIT
 * Counts which cache lines the groups of threads touch. The compiler calls lines.c at each access of memory: the core is
 * compiled with -fsanitize=thread, and linked with lines.c instead of the sanitizer. */
#ifndef SHARING_LINES_H
#define SHARING_LINES_H

#include <stddef.h>

enum { LINES_BYTES = 64, LINES_GROUPS = 8 };

/* From now on the calling thread belongs to this group, from 0. Threads without a group are not counted. */
void lines_join(int group);

/* Between these two, accesses are counted. */
void lines_begin(void);
void lines_end(void);

/* The lines that one group has written and another one has touched. */
struct lines_shared {
  int often, rarely; /* rarely: by no more than one group more than `rare` times */
};

/* Counts them, and prints the first `most` with the counts of each group. */
struct lines_shared lines_tell(int most, unsigned rare);

/* How many lines were touched. */
int lines_count(void);

/* A name for what is at this address, for lines_tell. */
void lines_name(const void *at, size_t size, const char *name);

#endif
