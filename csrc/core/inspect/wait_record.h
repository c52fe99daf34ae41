/* SPDX-License-Identifier: MIT
 * What a state tells about its waits: a list of records, which wait_graph.c puts together. Numbers of tasks, objects,
 * scopes and the like are addresses; they are only compared, and unique in their process. Worker processes send such
 * lists to their parents, so the records have no pointers that are used. */
#ifndef BRAID_WAIT_RECORD_H
#define BRAID_WAIT_RECORD_H

#include "core/base/buffer.h"

enum braid_wait_kind {
  BRAID_WAIT_PROCESS = 1, /* the records up to the next such one are of process `who`, which has `count` states */
  BRAID_WAIT_STATE,       /* state `who` works for pool `what` (0: for none); other: its generation */
  BRAID_WAIT_TASK,        /* task `who` of state `what` is a child of scope `other`; count: when it parked */
  BRAID_WAIT_TEXT,        /* `count` bytes about task `who` come next, filled up to whole records */

  /* ---- what task `who` waits for; a task without such a record can go on by itself ---- */
  BRAID_WAIT_FOR_SCOPE,      /* the end of the children of scope `what` */
  BRAID_WAIT_FOR_TASK,       /* the end of task `what` */
  BRAID_WAIT_FOR_LOCK,       /* lock `what` */
  BRAID_WAIT_FOR_OBJECT,     /* shared object `what`: who knows it may end the wait */
  BRAID_WAIT_FOR_LOCAL,      /* an object that only its own state knows */
  BRAID_WAIT_FOR_JOB,        /* the end of job `what`, which a thread runs */
  BRAID_WAIT_FOR_FAR_JOB,    /* the end of the job with ticket `what`, which process `count` has begun */
  BRAID_WAIT_FOR_POOL,       /* a worker of pool `what`, which has `count` workers, for a job that has not begun */
  BRAID_WAIT_FOR_REST,       /* the end of all jobs of pool `what` */
  BRAID_WAIT_FOR_WORK,       /* a worker's own task: a job of pool `what` */
  BRAID_WAIT_FOR_FAR_LOCK,   /* a lock of another process, number `what` of worker process `count` */
  BRAID_WAIT_FOR_FAR_OBJECT, /* the same for other objects */

  /* ---- who knows what ---- */
  BRAID_WAIT_HOLD,   /* state `who` accounts for `count` references of object `what` */
  BRAID_WAIT_REFS,   /* object `what` has `count` references */
  BRAID_WAIT_RUN,    /* task `who` runs job `what`, of pool `other`; count: its ticket */
  BRAID_WAIT_OWNER,  /* task `other` holds lock `what`; with BRAID_WAIT_FAR a task of process `count` */
  BRAID_WAIT_CHILD,  /* process `who` works for pool `what` */
  BRAID_WAIT_EXPORT, /* what process `other` knows as number `who` is object `what`; it has `count` references */
  BRAID_WAIT_RELAY   /* what process `other` knows as number `who` is number `what` of worker process `count` */
};

/* Objects of other processes have numbers, one for each connection. A number is unique together with the worker process
 * at one end of its connection. Its lowest bit says that the worker's end is the home, and the other end the one that
 * knows it. */

enum braid_wait_flag {
  BRAID_WAIT_OPEN = 1,   /* of a state: something outside can make it run Lua */
  BRAID_WAIT_DAEMON = 2, /* of a task: its scope does not wait for it */
  BRAID_WAIT_FIXED = 4,  /* of a task: its wait cannot be ended by an error */
  BRAID_WAIT_UNREAL = 8, /* no task, but code that runs when this wait ends; it is not shown */
  BRAID_WAIT_FAR = 16
};

struct braid_wait_record {
  uint8_t kind, flags;
  uint16_t unused;
  uint32_t count;
  uint64_t who, what, other;
};

/* Times of waits are counted in units of 2^27 ns (0.13 s), and only their last bits are kept. */
enum { BRAID_WAIT_TICK = 27, BRAID_WAIT_TICKS = 0x3ffff };

/* The bytes of a record, with its text. */
static inline size_t braid_wait_record_size(const struct braid_wait_record *record) {
  size_t text = record->kind == BRAID_WAIT_TEXT ? record->count : 0;
  return sizeof *record + (text + sizeof *record - 1) / sizeof *record * sizeof *record;
}

/* Appends a record. When memory is out, nothing is appended: then the list tells less, and no deadlock is found. */
static inline void braid_wait_record_add(struct braid_buffer *list, struct braid_wait_record record) {
  braid_buffer_append(list, &record, sizeof record);
}

#endif
