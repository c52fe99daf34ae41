/* SPDX-License-Identifier: MIT */
#include "core/net/socket_option.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

static const struct option {
  const char *name;
  enum braid_socket_option_kind kind;
  int level, number;
} options[] = {
    {"keepalive", BRAID_OPTION_FLAG, SOL_SOCKET, SO_KEEPALIVE},
    {"reuseaddr", BRAID_OPTION_FLAG, SOL_SOCKET, SO_REUSEADDR},
    {"reuseport", BRAID_OPTION_FLAG, SOL_SOCKET, SO_REUSEPORT},
    {"dontroute", BRAID_OPTION_FLAG, SOL_SOCKET, SO_DONTROUTE},
    {"broadcast", BRAID_OPTION_FLAG, SOL_SOCKET, SO_BROADCAST},
    {"recv-buffer-size", BRAID_OPTION_NUMBER, SOL_SOCKET, SO_RCVBUF},
    {"send-buffer-size", BRAID_OPTION_NUMBER, SOL_SOCKET, SO_SNDBUF},
    {"linger", BRAID_OPTION_LINGER, SOL_SOCKET, SO_LINGER},
    {"error", BRAID_OPTION_ERROR, SOL_SOCKET, SO_ERROR},
    {"tcp-nodelay", BRAID_OPTION_FLAG, IPPROTO_TCP, TCP_NODELAY},
#ifdef TCP_KEEPIDLE
    {"tcp-keepidle", BRAID_OPTION_NUMBER, IPPROTO_TCP, TCP_KEEPIDLE},
#endif
#ifdef TCP_KEEPCNT
    {"tcp-keepcnt", BRAID_OPTION_NUMBER, IPPROTO_TCP, TCP_KEEPCNT},
#endif
#ifdef TCP_KEEPINTVL
    {"tcp-keepintvl", BRAID_OPTION_NUMBER, IPPROTO_TCP, TCP_KEEPINTVL},
#endif
#ifdef TCP_DEFER_ACCEPT
    {"tcp-defer-accept", BRAID_OPTION_NUMBER, IPPROTO_TCP, TCP_DEFER_ACCEPT},
#endif
#ifdef TCP_FASTOPEN
    {"tcp-fastopen", BRAID_OPTION_NUMBER, IPPROTO_TCP, TCP_FASTOPEN},
#endif
#ifdef TCP_FASTOPEN_CONNECT
    {"tcp-fastopen-connect", BRAID_OPTION_NUMBER, IPPROTO_TCP, TCP_FASTOPEN_CONNECT},
#endif
    {"ip-multicast-if", BRAID_OPTION_INTERFACE, IPPROTO_IP, IP_MULTICAST_IF},
    {"ip-multicast-ttl", BRAID_OPTION_NUMBER, IPPROTO_IP, IP_MULTICAST_TTL},
    {"ip-multicast-loop", BRAID_OPTION_FLAG, IPPROTO_IP, IP_MULTICAST_LOOP},
    {"ip-add-membership", BRAID_OPTION_GROUP, IPPROTO_IP, IP_ADD_MEMBERSHIP},
    {"ip-drop-membership", BRAID_OPTION_GROUP, IPPROTO_IP, IP_DROP_MEMBERSHIP},
    {"ipv6-v6only", BRAID_OPTION_FLAG, IPPROTO_IPV6, IPV6_V6ONLY},
    {"ipv6-unicast-hops", BRAID_OPTION_NUMBER, IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    {"ipv6-multicast-hops", BRAID_OPTION_NUMBER, IPPROTO_IPV6, IPV6_MULTICAST_HOPS},
    {"ipv6-multicast-loop", BRAID_OPTION_FLAG, IPPROTO_IPV6, IPV6_MULTICAST_LOOP},
    {"ipv6-add-membership", BRAID_OPTION_GROUP6, IPPROTO_IPV6, IPV6_JOIN_GROUP},
    {"ipv6-drop-membership", BRAID_OPTION_GROUP6, IPPROTO_IPV6, IPV6_LEAVE_GROUP},
};

static const struct option *find(const char *name) {
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    if (strcmp(options[i].name, name) == 0) return &options[i];
  return NULL;
}

enum braid_socket_option_kind braid_socket_option_kind(const char *name) {
  const struct option *option = find(name);
  return option ? option->kind : BRAID_OPTION_UNKNOWN;
}

static bool read_address(const char *text, struct in_addr *address) {
  address->s_addr = htonl(INADDR_ANY);
  return strcmp(text, "*") == 0 || inet_aton(text, address);
}

static int set(int fd, const struct option *option, const void *value, socklen_t size) {
  return setsockopt(fd, option->level, option->number, value, size) == 0 ? 0 : errno;
}

static int set_group(int fd, const struct option *option, const struct braid_socket_value *value) {
  struct ip_mreq group;
  if (!inet_aton(value->address, &group.imr_multiaddr) || !read_address(value->interface, &group.imr_interface))
    return EINVAL;
  return set(fd, option, &group, sizeof group);
}

static int set_group6(int fd, const struct option *option, const struct braid_socket_value *value) {
  struct ipv6_mreq group = {.ipv6mr_interface = (unsigned)value->number};
  if (inet_pton(AF_INET6, value->address, &group.ipv6mr_multiaddr) != 1) return EINVAL;
  return set(fd, option, &group, sizeof group);
}

int braid_socket_option_set(int fd, const char *name, const struct braid_socket_value *value) {
  const struct option *option = find(name);
  struct linger linger = {.l_onoff = value->number, .l_linger = value->seconds};
  struct in_addr interface;
  switch (option ? option->kind : BRAID_OPTION_UNKNOWN) {
    case BRAID_OPTION_FLAG:
    case BRAID_OPTION_NUMBER: return set(fd, option, &value->number, sizeof value->number);
    case BRAID_OPTION_LINGER: return set(fd, option, &linger, sizeof linger);
    case BRAID_OPTION_INTERFACE:
      return read_address(value->address, &interface) ? set(fd, option, &interface, sizeof interface) : EINVAL;
    case BRAID_OPTION_GROUP: return set_group(fd, option, value);
    case BRAID_OPTION_GROUP6: return set_group6(fd, option, value);
    default: return ENOPROTOOPT;
  }
}

int braid_socket_option_get(int fd, const char *name, struct braid_socket_value *value) {
  const struct option *option = find(name);
  if (!option) return ENOPROTOOPT;
  struct linger linger = {0};
  bool is_linger = option->kind == BRAID_OPTION_LINGER;
  socklen_t size = is_linger ? sizeof linger : sizeof value->number;
  void *room = is_linger ? (void *)&linger : (void *)&value->number;
  value->number = 0;
  if (getsockopt(fd, option->level, option->number, room, &size) != 0) return errno;
  if (is_linger) *value = (struct braid_socket_value){.number = linger.l_onoff, .seconds = linger.l_linger};
  return 0;
}
