/* SPDX-License-Identifier: MIT */
#include "core/web/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/net/socket.h"

int braid_notify(const char *text, size_t size) {
  const char *path = getenv("NOTIFY_SOCKET");
  struct braid_address address;
  if (!path || (*path != '/' && *path != '@')) return 0;
  int error = braid_address_unix(&address, path);
  if (error) return error;
  int fd = braid_socket_open(AF_UNIX, SOCK_DGRAM, 0);
  if (fd < 0) return -fd;
  const struct sockaddr *bytes = (const struct sockaddr *)&address.bytes;
  ssize_t sent = sendto(fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL, bytes, address.size);
  error = sent < 0 ? errno : 0;
  close(fd);
  return error;
}
