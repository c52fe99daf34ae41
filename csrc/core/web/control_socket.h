/* SPDX-License-Identifier: MIT
 * The channel between a server's supervisor and one worker: a connection for whole messages, each with at most one
 * descriptor. Any thread; nothing blocks. */
#ifndef BRAID_CONTROL_SOCKET_H
#define BRAID_CONTROL_SOCKET_H

#include "core/base/base.h"

enum { BRAID_CONTROL_SOCKET_MOST = 32 << 10 }; /* bytes of a message */

enum { BRAID_CONTROL_SOCKET_NAME = 32 };

/* The supervisor listens; the system chooses the name. Returns 0 or an error number. ENOTSUP: only Linux has such
 * sockets. */
int braid_control_socket_listen(int *listener, char name[BRAID_CONTROL_SOCKET_NAME]);

/* Takes a worker's connection, and tells its process. Those of other users are dropped. Returns 0 or an error number;
 * EAGAIN: there is none. */
int braid_control_socket_accept(int listener, int *end, int *pid);

/* The worker connects. Returns 0 or an error number. */
int braid_control_socket_connect(const char *name, int *end);

/* Sends a message, and a descriptor (-1: none), which stays the caller's. Returns 0 or an error number. EAGAIN: the
 * other end must read first. EPIPE: it has closed. */
int braid_control_socket_send(int end, const void *data, size_t size, int descriptor);

/* Receives a message of at most BRAID_CONTROL_SOCKET_MOST bytes. Returns 0 or an error number; EAGAIN: there is none.
 * *size is 0 when the other end has closed. *descriptor belongs to the caller; -1: none came. */
int braid_control_socket_receive(int end, void *data, size_t *size, int *descriptor);

#endif
