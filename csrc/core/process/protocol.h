/* SPDX-License-Identifier: MIT
 * What two processes say to each other about shared objects (docs/CONCURRENCY.md, section 9, has the rules). An object
 * lives in one process, its home; the other has a proxy of it. Most operations are a call and its answer; queues are
 * worked with in batches. A frame's value is the object's number at its home, unless it says otherwise. */
#ifndef BRAID_PROTOCOL_H
#define BRAID_PROTOCOL_H

#include "core/process/frame.h"

/* The one bound of batches: places that a proxy may have, and items that it was sent and has not told to be taken. */
enum { BRAID_QUEUE_AHEAD = 256 };

enum braid_call_frame {
  /* ---- to the home ---- */
  BRAID_FRAME_CALL = BRAID_FRAME_OBJECTS, /* id: its number, 0: without answer; status: operation; body: struct
                                             braid_call, the key's bytes, the item */
  BRAID_FRAME_CANCEL,                     /* id: of a call that is to end soon; it is answered all the same */
  BRAID_FRAME_GET,      /* id: most items; body: uint64_t, how many were taken since the last of these two. Answered by
                           one ITEMS */
  BRAID_FRAME_GET_END,  /* a GET that is to be answered now */
  BRAID_FRAME_TAKEN,    /* id: how many items go back: all or none; body: the same */
  BRAID_FRAME_WANT,     /* id: most places; status: whether to wait for one. Answered by one PLACES */
  BRAID_FRAME_WANT_END, /* a WANT that is to be answered now */
  BRAID_FRAME_PUT,      /* body: an item; uses one place */
  BRAID_FRAME_UNWANTED, /* id: places that are given back */
  BRAID_FRAME_DROP,     /* the sender has no proxy any more; id: how often it had been sent the object */
  BRAID_FRAME_LEAVE,    /* the process of this channel has ended; no value */
  /* ---- from the home ---- */
  BRAID_FRAME_ANSWER, /* id: the call's; status: how it ended; body: struct braid_answer, the item */
  BRAID_FRAME_ITEMS,  /* id: how many; status: how the GET ended; body: the items */
  BRAID_FRAME_PLACES, /* id: how many; status: how the WANT ended */
  BRAID_FRAME_GONE    /* the object's home has ended */
};

enum braid_call_operation {
  BRAID_QUEUE_TRY_PUT, /* the item */
  BRAID_QUEUE_TRY_GET,
  BRAID_QUEUE_DONE,
  BRAID_QUEUE_JOIN,
  BRAID_QUEUE_CLOSE, /* number: at once */
  BRAID_QUEUE_LOOK,  /* answer: the size; extra: closed */
  BRAID_LOCK_ACQUIRE,
  BRAID_LOCK_RELEASE,
  BRAID_LOCK_ABANDON,   /* the owner has ended */
  BRAID_PRIMITIVE_LOOK, /* answer: turns left, set, locked */
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
  BRAID_DICT_KEYS,
  BRAID_CALL_OPERATIONS
};

struct braid_call {
  uint64_t owner; /* of locks: unique in its process */
  int64_t number;
  uint32_t key_size; /* of a dict */
  uint32_t once;     /* does not wait */
};

struct braid_answer {
  int64_t extra; /* a look's: see there; BRAID_SYSTEM: the error number */
};

/* What a proxy stands for. */
enum braid_proxy_kind {
  BRAID_PROXY_QUEUE,
  BRAID_PROXY_LOCK,
  BRAID_PROXY_SEMAPHORE,
  BRAID_PROXY_EVENT,
  BRAID_PROXY_CONDITION,
  BRAID_PROXY_BARRIER,
  BRAID_PROXY_COUNTER,
  BRAID_PROXY_DICT,
  BRAID_PROXY_KINDS,
  BRAID_PROXY_ARRAY = BRAID_PROXY_KINDS /* no proxy: the memory itself is shared */
};

#endif
