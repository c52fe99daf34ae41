/* SPDX-License-Identifier: MIT
 * Options of sockets by their names in LuaSocket. Any thread; nothing blocks. */
#ifndef BRAID_SOCKET_OPTION_H
#define BRAID_SOCKET_OPTION_H

#include "core/base/base.h"

enum braid_socket_option_kind {
  BRAID_OPTION_UNKNOWN,
  BRAID_OPTION_FLAG,
  BRAID_OPTION_NUMBER,
  BRAID_OPTION_LINGER,    /* on, seconds */
  BRAID_OPTION_INTERFACE, /* an IPv4 address */
  BRAID_OPTION_GROUP,     /* the group's IPv4 address, and that of an interface */
  BRAID_OPTION_GROUP6,    /* the group's IPv6 address, and the number of an interface */
  BRAID_OPTION_ERROR      /* the pending error, an errno value; only to read */
};

/* The parts of a value; which ones count depends on the kind. */
struct braid_socket_value {
  int number, seconds;
  const char *address, *interface;
};

enum braid_socket_option_kind braid_socket_option_kind(const char *name);

/* 0 or an error number. EINVAL: an address is none. */
int braid_socket_option_set(int fd, const char *name, const struct braid_socket_value *value);

/* Reads a flag, a number, an error, or what LINGER has. 0 or an error number. */
int braid_socket_option_get(int fd, const char *name, struct braid_socket_value *value);

#endif
