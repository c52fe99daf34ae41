/* SPDX-License-Identifier: MIT
 * Asks the system about names in the forms of the C library: what lua/braid/luasocket returns to programs. (Connections
 * of braid itself use resolve.h.) The answer is a sequence of texts, each with a zero byte behind it. */
#ifndef BRAID_NAMES_H
#define BRAID_NAMES_H

#include "core/base/buffer.h"
#include "core/loop/blocking.h"

enum braid_names_kind {
  BRAID_NAMES_ADDRESSES, /* getaddrinfo: family, address and port, again and again; then the canonical name */
  BRAID_NAMES_NAMES,     /* getnameinfo of each address of the host: host, service, again and again */
  BRAID_NAMES_HOST       /* gethostbyname or gethostbyaddr: "n" and the name, "a" and an alias, "i" and an address */
};

struct braid_names {
  struct braid_blocking work;
  enum braid_names_kind kind;
  char *host, *service; /* NULL: none */
  int family, type;     /* as getaddrinfo's hints */
  bool passive;
  int error;  /* 0, or of getaddrinfo, or, for BRAID_NAMES_HOST, h_errno */
  int number; /* the errno value of EAI_SYSTEM */
  struct braid_buffer answer;
};

extern const struct braid_class braid_names_class;

/* A question; `host` and `service` are copied. NULL when memory is out. Any thread. */
struct braid_names *braid_names_new(enum braid_names_kind kind, const char *host, const char *service);

/* Asks. Any thread; does not block. */
void braid_names_start(struct braid_names *names);

#endif
