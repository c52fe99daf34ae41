/* SPDX-License-Identifier: MIT
 * The channel between a server's supervisor and one worker: a pair of sockets for whole messages, each with at most one
 * descriptor. Any thread; nothing blocks. */
#ifndef BRAID_CONTROL_SOCKET_H
#define BRAID_CONTROL_SOCKET_H

#include "core/base/base.h"

enum { BRAID_CONTROL_SOCKET_MOST = 32 << 10 }; /* bytes of a message */

/* Makes both ends, close-on-exec. Returns 0 or an error number. */
int braid_control_socket_open(int ends[2]);

/* Sends a message, and a descriptor (-1: none), which stays the caller's. Returns 0 or an error number. EAGAIN: the
 * other end must read first. EPIPE: it has closed. */
int braid_control_socket_send(int end, const void *data, size_t size, int descriptor);

/* Receives a message of at most BRAID_CONTROL_SOCKET_MOST bytes. Returns 0 or an error number; EAGAIN: there is none.
 * *size is 0 when the other end has closed. *descriptor belongs to the caller; -1: none came. */
int braid_control_socket_receive(int end, void *data, size_t *size, int *descriptor);

/* Has this process killed when its parent ends (Linux only). */
void braid_control_socket_die_with_parent(void);

#endif
