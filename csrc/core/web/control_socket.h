/* SPDX-License-Identifier: MIT
 * What a server's supervisor and a worker say to each other: whole messages over a pair of sockets, and with a message
 * perhaps a descriptor. Any thread; nothing blocks. */
#ifndef BRAID_CONTROL_SOCKET_H
#define BRAID_CONTROL_SOCKET_H

#include "core/base/base.h"

enum { BRAID_CONTROL_SOCKET_MOST = 32 << 10 }; /* bytes of a message */

/* Two ends, which close themselves on exec; 0 or an error number. */
int braid_control_socket_open(int ends[2]);

/* 0 or an error number: EAGAIN when the other end has to read first, EPIPE when it is gone. The descriptor (-1: none)
 * stays the caller's. */
int braid_control_socket_send(int end, const void *data, size_t size, int descriptor);

/* A message, at most BRAID_CONTROL_SOCKET_MOST bytes: 0, or an error number (EAGAIN: there is none). *size is 0 when
 * the other end is gone. *descriptor is the caller's, -1 when none came. */
int braid_control_socket_receive(int end, void *data, size_t *size, int *descriptor);

/* This process is killed when its parent ends. */
void braid_control_socket_die_with_parent(void);

#endif
