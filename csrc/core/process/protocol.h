/* SPDX-License-Identifier: MIT
 * The protocol of shared objects (docs/CONCURRENCY.md, section 9, has the rules). An object lives in one process, its
 * home; other processes have proxies of it. Most operations are a call and its answer. Queues exchange items and places
 * in batches. A frame's `value` is the object's number at its home, unless said otherwise. */
#ifndef BRAID_PROTOCOL_H
#define BRAID_PROTOCOL_H

#include "core/process/frame.h"

/* The limit of a queue's batches: the places that a proxy may have, and the items that were sent and not yet reported
 * as taken. */
enum { BRAID_QUEUE_AHEAD = 256 };

enum braid_call_frame {
  /* ---- to the home ---- */
  BRAID_FRAME_CALL = BRAID_FRAME_OBJECTS, /* id: the call's number, 0: no answer; status: operation; body: struct
                                             braid_call, the key, the item */
  BRAID_FRAME_CANCEL,                     /* id: a call that should end soon; it is answered all the same */
  BRAID_FRAME_GET,     /* id: the most items; body: uint64_t, items taken since the last GET or TAKEN. The answer is one
                          ITEMS */
  BRAID_FRAME_GET_END, /* the GET must be answered now */
  BRAID_FRAME_TAKEN,   /* id: items that go back, all or none; body: as for GET */
  BRAID_FRAME_WANT,    /* id: the most places; status: whether to wait for one. The answer is one PLACES */
  BRAID_FRAME_WANT_END, /* the WANT must be answered now */
  BRAID_FRAME_PUT,      /* id: how many; body: the items; each uses one place */
  BRAID_FRAME_UNWANTED, /* id: places that go back */
  BRAID_FRAME_DROP,     /* the proxy is destroyed; id: how often the object was received */
  BRAID_FRAME_LEAVE,    /* the process on this channel has ended; no value */
  /* ---- from the home ---- */
  BRAID_FRAME_ANSWER, /* id: the call's number; status: its result; body: struct braid_answer, the item */
  BRAID_FRAME_ITEMS,  /* id: how many; status: the result of the GET; body: the items */
  BRAID_FRAME_PLACES, /* id: how many; status: the result of the WANT */
  BRAID_FRAME_GONE    /* the object's home has ended */
};

enum braid_call_operation {
  BRAID_QUEUE_TRY_PUT, /* has an item */
  BRAID_QUEUE_TRY_GET,
  BRAID_QUEUE_DONE,
  BRAID_QUEUE_JOIN,
  BRAID_QUEUE_CLOSE, /* number: whether at once */
  BRAID_QUEUE_LOOK,  /* answer: the size; extra: closed */
  BRAID_LOCK_ACQUIRE,
  BRAID_LOCK_RELEASE,
  BRAID_LOCK_ABANDON,   /* the owner has ended */
  BRAID_PRIMITIVE_LOOK, /* answer: turns left; whether set; whether locked */
  BRAID_SEMAPHORE_ACQUIRE,
  BRAID_SEMAPHORE_RELEASE, /* number: turns */
  BRAID_EVENT_WAIT,
  BRAID_EVENT_SET, /* number: set or clear */
  BRAID_CONDITION_WAIT,
  BRAID_CONDITION_NOTIFY, /* number: the most to wake */
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
  uint64_t owner; /* for locks; unique in its process */
  int64_t number;
  uint32_t key_size; /* for dicts */
  uint32_t once;     /* the call must not wait */
  uint64_t process;  /* the owner's process, for reports of deadlocks; 0: it is not told */
};

struct braid_answer {
  int64_t extra; /* of QUEUE_LOOK: closed; with BRAID_SYSTEM: the error number */
};

/* The kinds of objects that a proxy stands for. */
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
  BRAID_PROXY_ARRAY = BRAID_PROXY_KINDS /* has no proxy: its memory is shared */
};

#endif
