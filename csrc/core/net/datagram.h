/* SPDX-License-Identifier: MIT
 * The system calls for UDP sockets. Descriptors are non-blocking and close-on-exec. Where a function returns an int, 0
 * is success and a negative value a negated error number. Any thread; nothing blocks. */
#ifndef BRAID_DATAGRAM_H
#define BRAID_DATAGRAM_H

#include "core/net/socket.h"

enum {
  BRAID_DATAGRAM_MOST = 65536 /* no datagram is longer */
};

/* Returns a descriptor that is bound to the address. An IPv6 socket also takes IPv4 datagrams, where it can. */
int braid_datagram_open(const struct braid_address *address, bool reuse_port, bool broadcast);

/* What is sent without an address goes there, and only datagrams from there are received. */
int braid_datagram_connect(int fd, const struct braid_address *address);

/* Sends one datagram; `to`: NULL for a connected socket. -EAGAIN: there is no room now. */
int braid_datagram_send(int fd, const char *data, size_t size, const struct braid_address *to);

/* Receives one datagram and returns its size. -EAGAIN: none has come. */
int braid_datagram_receive(int fd, char data[BRAID_DATAGRAM_MOST], struct braid_address *from);

/* Joins the group, or leaves it, at an interface; NULL: the system chooses. Datagrams to groups are sent from an
 * interface that was named. */
int braid_datagram_join(int fd, const struct braid_address *group, const char *interface);
int braid_datagram_leave(int fd, const struct braid_address *group, const char *interface);

#endif
