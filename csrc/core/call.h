/* SPDX-License-Identifier: MIT
 * What a worker process and its parent say to each other about shared objects. The objects live in the parent; a worker
 * has a stub of each. Most operations are a call and its answer. Queues may be worked with ahead: puts into places that
 * were reserved, gets of items that were leased. */
#ifndef BRAID_CALL_H
#define BRAID_CALL_H

#include "frame.h"

enum braid_call_frame {
  BRAID_FRAME_CALL = BRAID_FRAME_OBJECTS, /* id: its number, 0: without answer; value: the object; status: operation;
                                             body: struct braid_call, the key's bytes; message: the item */
  BRAID_FRAME_ANSWER,    /* id: the call's; status: how it ended; body: struct braid_answer; message: the item */
  BRAID_FRAME_CANCEL,    /* id: of a call that is to end soon; it is answered all the same */
  BRAID_FRAME_DROP,      /* value: the object, which the sender knows no more; id: how often it had been sent */
  BRAID_FRAME_PUT,       /* value: the queue; body: struct braid_wire_item; into a reserved place */
  BRAID_FRAME_MARK,      /* value: the queue; id: places that are wanted */
  BRAID_FRAME_PLACES,    /* id: places that are reserved from now on; status: 0: it answers a mark */
  BRAID_FRAME_UNRESERVE, /* value: the queue; id: places that are not needed */
  BRAID_FRAME_LEASE,     /* value: the queue; body: struct braid_wire_item */
  BRAID_FRAME_RETURN     /* value: the queue; id: how many leased items are not needed; body: uint64_t, how many have
                            been used or returned before, ever */
};

enum braid_call_operation {
  BRAID_QUEUE_PUT,  /* bits: places wanted; the item */
  BRAID_QUEUE_GET,  /* number: leases wanted; bits: leases used, ever */
  BRAID_QUEUE_MARK, /* a mark, on its way to its answer; no call */
  BRAID_QUEUE_DONE,
  BRAID_QUEUE_JOIN,
  BRAID_QUEUE_CLOSE, /* number: at once */
  BRAID_QUEUE_LOOK,  /* answer: the size; extra: closed */
  BRAID_LOCK_ACQUIRE,
  BRAID_LOCK_RELEASE,
  BRAID_LOCK_ABANDON, /* all of this owner; no object */
  BRAID_GATE_LOOK,    /* answer: turns left, set, locked */
  BRAID_SEMAPHORE_ACQUIRE,
  BRAID_SEMAPHORE_RELEASE, /* number */
  BRAID_EVENT_WAIT,
  BRAID_EVENT_SET, /* number: set or cleared */
  BRAID_CONDITION_WAIT,
  BRAID_CONDITION_NOTIFY, /* number: how many */
  BRAID_BARRIER_WAIT,
  BRAID_BARRIER_ABORT,
  BRAID_BARRIER_RESET,
  BRAID_COUNTER_ADD,
  BRAID_COUNTER_GET,
  BRAID_COUNTER_SET,
  BRAID_DICT_GET,
  BRAID_DICT_SET,
  BRAID_DICT_SIZE,
  BRAID_DICT_KEYS
};

struct braid_wire_item {
  uint64_t bits;
  uint64_t tag; /* BRAID_ITEM_MESSAGE: the message behind it */
};

struct braid_call {
  uint64_t owner; /* of locks: unique in its process */
  int64_t number;
  uint64_t bits;
  double key; /* of a priority queue */
  struct braid_wire_item item;
  uint32_t key_size; /* of a dict */
  uint32_t once;     /* does not wait */
};

struct braid_answer {
  struct braid_wire_item item;
  int64_t extra; /* a put's: places more; a look's: see there */
};

/* What a stub stands for. */
enum braid_remote_kind {
  BRAID_REMOTE_QUEUE,
  BRAID_REMOTE_LOCK,
  BRAID_REMOTE_SEMAPHORE,
  BRAID_REMOTE_EVENT,
  BRAID_REMOTE_CONDITION,
  BRAID_REMOTE_BARRIER,
  BRAID_REMOTE_COUNTER,
  BRAID_REMOTE_DICT,
  BRAID_REMOTE_KINDS,
  BRAID_REMOTE_ARRAY = BRAID_REMOTE_KINDS /* no stub: the memory itself is shared */
};

#endif
