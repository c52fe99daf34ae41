/* SPDX-License-Identifier: MIT
 * See the header. */
#include "core/inspect/inspect.h"

#include <pthread.h>

#include "core/inspect/answer.h"
#include "core/inspect/deadlocks.h"
#include "core/inspect/states.h"

static void collect(enum braid_question_kind kind, struct braid_buffer *text) {
  switch (kind) {
    case BRAID_QUESTION_WAITS: braid_deadlocks_collect(text); break;
    case BRAID_QUESTION_COUNTS:
      braid_states_count(text);
      if (braid_deadlocks_stand()) braid_deadlocks_tell(text);
      break;
    default: braid_states_tell(text); braid_deadlocks_tell(text);
  }
}

static void open(void) { braid_answer_open(collect); }

void braid_inspect_open(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open);
}
