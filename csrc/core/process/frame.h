/* SPDX-License-Identifier: MIT
 * What travels on the socket between a process and its worker: frames, each a head and a body. Both ends are the same
 * build on the same machine, so numbers are as the machine has them. Nothing in a frame is believed unchecked. */
#ifndef BRAID_FRAME_H
#define BRAID_FRAME_H

#include "core/base/base.h"

/* Kinds that have numbers; each end has a handler for those that it is sent (see connection.h). */
enum braid_frame_kind {
  BRAID_FRAME_NONE,
  /* ---- of pools (process_pool, worker_process) ---- */
  BRAID_FRAME_SETTINGS, /* to a worker, first of all; id: its slots; status: its index; message: what it is told */
  BRAID_FRAME_JOB,      /* to a worker; id: its ticket; message: the function and its arguments */
  BRAID_FRAME_STOP,     /* to a worker; id: the ticket of a job that is to end */
  BRAID_FRAME_REPLY,    /* from a worker; id: ticket; status: enum braid_job_outcome, BRAID_JOB_RECALLED for one that
                           it came upon and has not begun; value: busy ns, or why it could not be taken in; message or
                           none */
  BRAID_FRAME_READY,    /* from a worker: its init has run */
  BRAID_FRAME_FAILED,   /* from a worker: its init has failed; message: the error and its traceback. Or, without one, it
                           could not become a worker; value: the system's number for what it wanted */
  BRAID_FRAME_BYE,      /* to a worker: there will be no more jobs */
  BRAID_FRAME_PING,     /* to a worker: does it live? Its I/O thread answers */
  BRAID_FRAME_PONG,     /* from a worker */
  /* ---- of the memory of arrays (segment_table) ---- */
  BRAID_FRAME_SEGMENT, /* its descriptor travels with it; status: an error number because of which it does not; body:
                          struct wire_segment */
  BRAID_FRAME_SEGMENT_LOST, /* id: the serial of one that could not be received or mapped */
  /* ---- of remote objects (protocol.h): from here on theirs ---- */
  BRAID_FRAME_OBJECTS = 16,
  BRAID_FRAME_KINDS = 64
};

#define BRAID_FRAME_MAGIC UINT32_C(0x46524142) /* BARF on the wire of a little-endian machine */
#define BRAID_FRAME_MOST (UINT64_C(1) << 40)   /* bytes of a body */

struct braid_frame {
  uint32_t magic;
  uint8_t kind;         /* enum braid_frame_kind */
  uint8_t has_message;  /* the body ends with one */
  uint16_t descriptors; /* how many travel with it */
  uint64_t size;        /* of the body */
  uint64_t id, value;
  uint32_t status;
  uint32_t channel; /* of remote objects: which process beyond the connection it is from or for; 0: the neighbour */
};

/* A shared object as a message on the wire mentions it: what the numbers mean is the marshal's (see connection.h). */
struct braid_wire_object {
  uint64_t id;
  uint32_t class;
  uint32_t flags;
  uint64_t value;
  uint64_t more[2];
};

/* An item of a queue on the wire. A message's bytes follow it. */
struct braid_wire_item {
  uint64_t bits;
  double key;   /* of a priority queue */
  uint64_t tag; /* enum braid_item_tag: not BRAID_ITEM_REFERENCE, BRAID_ITEM_PLACE */
};

#endif
