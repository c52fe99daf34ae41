/* SPDX-License-Identifier: MIT
 * How often each word occurs in many strings or files. */
#ifndef BRAID_WORDS_H
#define BRAID_WORDS_H

#include "core/work/crew.h"
#include "kernels/text.h"

struct braid_word {
  uint64_t hash;
  uint64_t count; /* 0: a free place */
  char *text;     /* in a block */
  size_t size;
};

/* A table of words, which owns their text. */
struct braid_words {
  struct braid_word *places; /* by malloc; a power of two of them */
  size_t room, used;
  struct braid_block *blocks; /* of text */
  uint64_t lines, total, bytes;
};

struct braid_words_list {
  const struct braid_text *texts;
  size_t count;
  bool files;
  int *errors;                /* errno for each file that could not be read, 0 for the others */
  struct braid_words *tables; /* one for each seat of a team; the first has it all in the end */
  unsigned seats;             /* how many there are: no less than the team's size */
  atomic_bool out_of_memory;
  struct braid_team *team; /* while it runs */
};

void braid_words_free(struct braid_words *words);

/* The kernel: arguments is a braid_words_list. */
void braid_words_run(struct braid_team *team, void *arguments);

#endif
