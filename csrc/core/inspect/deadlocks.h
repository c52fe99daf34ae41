/* SPDX-License-Identifier: MIT
 * Looks for deadlocks among all tasks of the process and of its worker processes (docs/CONCURRENCY.md, section 13), on
 * a thread of its own, which is started when a state first suspects one. Any thread, unless said otherwise. */
#ifndef BRAID_DEADLOCKS_H
#define BRAID_DEADLOCKS_H

#include "core/base/buffer.h"

/* What happens to a deadlock that is found. */
enum braid_deadlock_mode { BRAID_DEADLOCK_REPORT, BRAID_DEADLOCK_RAISE, BRAID_DEADLOCK_OFF };

/* What only rooms above know. Set once, before anything is asked; NULL fields: there is no such thing. */
struct braid_deadlock_ties {
  /* Makes sure that whatever was sent to this process has taken effect. False: not in time. Blocks for a moment. */
  bool (*settle)(void);
  /* Appends which objects other processes know. Blocks for a moment. */
  void (*exports)(struct braid_buffer *list);
  /* Whether this is a worker process. With `ask` it then also asks its parent to look. */
  bool (*has_parent)(bool ask);
};
void braid_deadlocks_tie(const struct braid_deadlock_ties *ties);

/* Sets the mode; returns the one before. */
enum braid_deadlock_mode braid_deadlocks_set(enum braid_deadlock_mode mode);
enum braid_deadlock_mode braid_deadlocks_mode(void);

/* Something has waited for long. `still`: its state does nothing else now. Does not block. */
void braid_deadlocks_suspect(bool still);

/* Whether one stood at the last look. Does not block. */
bool braid_deadlocks_stand(void);

/* Appends the deadlocks that stand, as text for people. Blocks for 0.2 s at most, or while worker processes answer. */
void braid_deadlocks_tell(struct braid_buffer *text);

/* Appends the waits of all tasks of this process, for its parent. Blocks for some 0.1 s at most. */
void braid_deadlocks_collect(struct braid_buffer *list);

#endif
