/* SPDX-License-Identifier: MIT
 * Counts how often each word occurs in many strings or files. */
#ifndef BRAID_WORDS_H
#define BRAID_WORDS_H

#include "core/work/crew.h"
#include "kernels/text.h"

struct braid_word {
  uint64_t hash;
  uint64_t count; /* 0: the place is free */
  char *text;     /* in one of the table's blocks */
  size_t size;
};

/* A table of words, which owns their text. */
struct braid_words {
  struct braid_word *places; /* by malloc; their number is a power of two */
  size_t room, used;
  struct braid_block *blocks; /* the words' text */
  uint64_t lines, total, bytes;
};

struct braid_words_list {
  const struct braid_text *texts;
  size_t count;
  bool files;
  int *errors;                /* for each file: errno if it could not be read, else 0 */
  struct braid_words *tables; /* one for each seat of the team; in the end the first has all words */
  unsigned seats;             /* the number of tables, at least the team's size */
  atomic_bool out_of_memory;
  struct braid_team *team; /* while it runs */
};

void braid_words_free(struct braid_words *words);

/* The kernel; `arguments` is a braid_words_list. */
void braid_words_run(struct braid_team *team, void *arguments);

#endif
