/* SPDX-License-Identifier: MIT
 * Uses the first of a name's addresses that works. */
#include "core/web/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static int listen_at(const struct addrinfo *address, bool shared, int *listener) {
  int type = address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, on = 1;
  int fd = socket(address->ai_family, type, address->ai_protocol);
  if (fd < 0) return errno;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if ((shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)) ||
      bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, BACKLOG)) {
    int error = errno;
    close(fd);
    return error;
  }
  *listener = fd;
  return 0;
}

static unsigned port_of(int listener) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  char port[NI_MAXSERV];
  if (getsockname(listener, (struct sockaddr *)&address, &size) ||
      getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof port, NI_NUMERICSERV))
    return 0;
  return (unsigned)strtoul(port, NULL, 10);
}

int braid_listen(const char *host, unsigned *port, bool shared, int *listener, const char **problem) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
  struct addrinfo *addresses;
  char service[16];
  snprintf(service, sizeof service, "%u", *port);
  int failure = getaddrinfo(host, service, &hints, &addresses);
  if (failure) {
    *problem = gai_strerror(failure);
    return -1;
  }
  int error = listen_at(addresses, shared, listener);
  for (struct addrinfo *next = addresses->ai_next; error && next; next = next->ai_next)
    error = listen_at(next, shared, listener);
  freeaddrinfo(addresses);
  if (!error) *port = port_of(*listener);
  return error;
}

int braid_listen_inherit(int fd, struct braid_address *address) {
  int listens = 0, type = 0;
  socklen_t size = sizeof listens, type_size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) ||
      getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size))
    return errno;
  if (!listens || type != SOCK_STREAM) return EINVAL;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC)) return errno;
  address->size = sizeof address->bytes;
  return getsockname(fd, (struct sockaddr *)&address->bytes, &address->size) ? errno : 0;
}
