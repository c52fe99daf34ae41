/* SPDX-License-Identifier: MIT
 * Groups are joined by the protocol-independent call of RFC 3678, which takes both families. */
#include "core/net/datagram.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

static int outcome(int result) { return result ? -errno : 0; }

static int set(int fd, int level, int name, int value) { return setsockopt(fd, level, name, &value, sizeof value); }

static int prepare(int fd, int family, bool reuse_port, bool broadcast) {
  if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)) return -1;
  if (family == AF_INET6 && set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)) return -1;
  if (broadcast && set(fd, SOL_SOCKET, SO_BROADCAST, 1)) return -1;
#ifdef SO_REUSEPORT
  if (reuse_port && set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return -1;
#endif
  return 0;
}

int braid_datagram_open(const struct braid_address *address, bool reuse_port, bool broadcast) {
  const struct sockaddr *bytes = (const struct sockaddr *)&address->bytes;
  int fd = braid_socket_open(bytes->sa_family, SOCK_DGRAM, 0);
  if (fd < 0) return fd;
  if (prepare(fd, bytes->sa_family, reuse_port, broadcast) == 0 && bind(fd, bytes, address->size) == 0) return fd;
  int error = errno;
  close(fd);
  return -error;
}

int braid_datagram_connect(int fd, const struct braid_address *address) {
  return outcome(connect(fd, (const struct sockaddr *)&address->bytes, address->size));
}

int braid_datagram_send(int fd, const char *data, size_t size, const struct braid_address *to) {
  ssize_t count;
  do count = sendto(fd, data, size, 0, to ? (const struct sockaddr *)&to->bytes : NULL, to ? to->size : 0);
  while (count < 0 && errno == EINTR);
  return count < 0 ? errno == EWOULDBLOCK ? -EAGAIN : -errno : 0;
}

int braid_datagram_receive(int fd, char data[BRAID_DATAGRAM_MOST], struct braid_address *from) {
  ssize_t count;
  do {
    from->size = sizeof from->bytes;
    count = recvfrom(fd, data, BRAID_DATAGRAM_MOST, 0, (struct sockaddr *)&from->bytes, &from->size);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? errno == EWOULDBLOCK ? -EAGAIN : -errno : (int)count;
}

/* ---- groups --------------------------------------------------------------------------------------------------- */

static int change(int fd, int name, const struct braid_address *group, unsigned interface) {
  struct group_req request = {.gr_interface = interface};
  memcpy(&request.gr_group, &group->bytes, group->size);
  int level = group->bytes.ss_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  return outcome(setsockopt(fd, level, name, &request, sizeof request));
}

/* Datagrams to groups of this family leave from the interface. */
static int send_from(int fd, int family, unsigned interface) {
  struct ip_mreqn four = {.imr_ifindex = (int)interface};
  if (family == AF_INET6) return outcome(set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)interface));
  return outcome(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &four, sizeof four));
}

/* 0 where none is named. False when there is no such interface. */
static bool find_interface(const char *name, unsigned *index) {
  *index = name ? if_nametoindex(name) : 0;
  return !name || *index;
}

int braid_datagram_join(int fd, const struct braid_address *group, const char *interface) {
  unsigned index;
  if (!find_interface(interface, &index)) return -ENODEV;
  int error = change(fd, MCAST_JOIN_GROUP, group, index);
  return error || !index ? error : send_from(fd, group->bytes.ss_family, index);
}

int braid_datagram_leave(int fd, const struct braid_address *group, const char *interface) {
  unsigned index;
  return find_interface(interface, &index) ? change(fd, MCAST_LEAVE_GROUP, group, index) : -ENODEV;
}
