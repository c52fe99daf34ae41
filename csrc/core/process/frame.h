/* SPDX-License-Identifier: MIT
 * What travels on the socket between a process and its worker: frames, each with a head and a body. Both ends are the
 * same build on the same machine, so numbers have the machine's format. The receiver checks every field. */
#ifndef BRAID_FRAME_H
#define BRAID_FRAME_H

#include "core/base/base.h"

/* The kinds. Each end has a handler for the kinds that it may receive (see connection.h). */
enum braid_frame_kind {
  BRAID_FRAME_NONE,
  /* ---- of pools (process_pool.c, worker_process.c) ---- */
  BRAID_FRAME_SETTINGS, /* to a worker, the first frame; id: its slots; status: its index; body: settings and message */
  BRAID_FRAME_JOB,      /* to a worker; id: the job's ticket; message: the function and its arguments */
  BRAID_FRAME_STOP,     /* to a worker; id: the ticket of a job that should end */
  BRAID_FRAME_REPLY, /* from a worker; id: the ticket; status: enum braid_job_outcome, BRAID_JOB_RECALLED for a job that
                        it found recalled; value: ns busy, or for BRAID_JOB_NOT_TAKEN an error number; message, or
                        none; without a message the body may be struct braid_wire_item: the only result */
  BRAID_FRAME_READY, /* from a worker: its init has run */
  BRAID_FRAME_FAILED, /* from a worker: its init has failed; message: the error and its traceback. Without a message: it
                         could not become a worker; value: the error number */
  BRAID_FRAME_BYE,    /* to a worker: no more jobs will come */
  BRAID_FRAME_PING,   /* to a worker, whose I/O thread answers: checks whether it still runs */
  BRAID_FRAME_PONG,   /* from a worker: the answer to PING */
  /* ---- of the memory of arrays (shm_table.c) ---- */
  BRAID_FRAME_SUSPECT, /* from a worker: it suspects a deadlock, which only its parent can see as a whole */
  BRAID_FRAME_SEGMENT, /* a descriptor travels with it; status: an error number if it could not be sent; body: struct
                          wire_segment */
  BRAID_FRAME_SEGMENT_LOST, /* id: the serial number of a segment that could not be received or mapped */
  /* ---- of remote objects (protocol.h), from here on ---- */
  BRAID_FRAME_OBJECTS = 16,
  BRAID_FRAME_KINDS = 64
};

#define BRAID_FRAME_MAGIC UINT32_C(0x46524142) /* "BARF" on a little-endian machine */
#define BRAID_FRAME_MOST (UINT64_C(1) << 40)   /* bytes of a body at most */

struct braid_frame {
  uint32_t magic;
  uint8_t kind;         /* enum braid_frame_kind */
  uint8_t has_message;  /* the body ends with a message */
  uint16_t descriptors; /* how many descriptors travel with it */
  uint64_t size;        /* of the body */
  uint64_t id, value;
  uint32_t status;
  uint32_t channel; /* for remote objects: the process behind the connection that it is from or for; 0: the neighbour */
};

/* A reference to a shared object in a message. The marshal defines what the fields mean (see connection.h). */
struct braid_wire_object {
  uint64_t id;
  uint32_t class;
  uint32_t flags;
  uint64_t value;
  uint64_t more[2];
};

/* An item of a queue. If it is a message, the message follows. */
struct braid_wire_item {
  uint64_t bits;
  double key;   /* priority */
  uint64_t tag; /* enum braid_item_tag, but not BRAID_ITEM_REFERENCE or BRAID_ITEM_PLACE */
};

#endif
