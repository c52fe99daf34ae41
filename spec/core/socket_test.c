/* SPDX-License-Identifier: MIT
 * What the options of sockets set, and addresses as text. */
#include "core/net/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "check.h"

static struct braid_address inet(const char *host, int port) {
  struct braid_address address = {.size = sizeof(struct sockaddr_in)};
  struct sockaddr_in *four = (struct sockaddr_in *)&address.bytes;
  four->sin_family = AF_INET;
  four->sin_port = htons((uint16_t)port);
  check(inet_pton(AF_INET, host, &four->sin_addr) == 1);
  return address;
}

static int value_of(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  check(getsockopt(fd, level, name, &value, &size) == 0);
  return value;
}

static struct braid_address here(int fd) {
  struct braid_address address = {.size = sizeof address.bytes};
  check(getsockname(fd, (struct sockaddr *)&address.bytes, &address.size) == 0);
  return address;
}

static int connect_with(const struct braid_address *to, const struct braid_socket_options *options) {
  bool pending;
  int fd = braid_socket_connect(to, options, &pending);
  check(fd >= 0);
  return fd;
}

static void options_reach_the_socket(void) {
  struct braid_address any = inet("127.0.0.1", 0), from = inet("127.0.0.3", 0);
  int listener = braid_socket_listen(&any, &(struct braid_listen_options){.backlog = 8, .v6only = -1});
  check(listener >= 0);
  struct braid_address to = here(listener);
  int plain = connect_with(&to, &(struct braid_socket_options){0});
  check(value_of(plain, IPPROTO_TCP, TCP_NODELAY) != 0 && value_of(plain, SOL_SOCKET, SO_KEEPALIVE) == 0);
  int set = connect_with(&to, &(struct braid_socket_options){.delay = true, .keepalive = 77, .from = &from});
  check(value_of(set, IPPROTO_TCP, TCP_NODELAY) == 0 && value_of(set, SOL_SOCKET, SO_KEEPALIVE) != 0);
#ifdef TCP_KEEPIDLE
  check(value_of(set, IPPROTO_TCP, TCP_KEEPIDLE) == 77);
#endif
  char text[BRAID_ADDRESS_TEXT];
  int port;
  struct braid_address local = here(set);
  braid_address_text(&local, text, &port);
  check(strcmp(text, "127.0.0.3") == 0 && port != 0);
  close(plain);
  close(set);
  close(listener);
}

static void paths_are_read_back(void) {
  static const char *const paths[] = {"/run/some.sock", "a"};
  for (int i = 0; i < 2; i++) {
    struct braid_address address;
    char text[BRAID_ADDRESS_TEXT];
    int port;
    check(braid_address_unix(&address, paths[i]) == 0);
    braid_address_text(&address, text, &port);
    check(strcmp(text, paths[i]) == 0 && port == 0);
  }
}

/* The name is the rest of the address, without a zero byte at its end. Other systems have no such names. */
static void abstract_names_are_exact(void) {
#ifdef __linux__
  struct braid_address address;
  char text[BRAID_ADDRESS_TEXT];
  int port;
  check(braid_address_unix(&address, "@name") == 0);
  check(address.size == sizeof(sa_family_t) + 5);
  braid_address_text(&address, text, &port);
  check(strcmp(text, "@name") == 0);
#endif
}

static void an_ipv4_address_in_ipv6_is_written_as_ipv4(void) {
  struct braid_address address = {.size = sizeof(struct sockaddr_in6)};
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address.bytes;
  char text[BRAID_ADDRESS_TEXT];
  int port;
  six->sin6_family = AF_INET6;
  six->sin6_port = htons(80);
  check(inet_pton(AF_INET6, "::ffff:192.0.2.7", &six->sin6_addr) == 1);
  braid_address_text(&address, text, &port);
  check(strcmp(text, "192.0.2.7") == 0 && port == 80);
}

CHECK_MAIN({"socket: options reach the socket", options_reach_the_socket},
           {"socket: paths are read back", paths_are_read_back},
           {"socket: abstract names are exact", abstract_names_are_exact},
           {"socket: an IPv4 address in IPv6 is written as IPv4", an_ipv4_address_in_ipv6_is_written_as_ipv4})
