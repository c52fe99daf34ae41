/* SPDX-License-Identifier: MIT
 * The system calls for TCP and Unix sockets. */
#include "core/net/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/limit.h"

void braid_socket_explain(int error, char *text, size_t size) {
  struct rlimit limit = {0};
  if (error != EMFILE || getrlimit(RLIMIT_NOFILE, &limit)) {
    snprintf(text, size, "%s", strerror(error));
    return;
  }
  snprintf(text, size,
           "no file descriptor is left for another connection: this process may have %llu open (ulimit -n tells; in "
           "HTTP a session's max_connections makes requests wait instead)",
           (unsigned long long)limit.rlim_cur);
}

static int open_once(int family, int type, int protocol) {
#ifdef SOCK_CLOEXEC
  return socket(family, type | SOCK_CLOEXEC, protocol);
#else
  int fd = socket(family, type, protocol);
  if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
#endif
}

int braid_socket_open(int family, int type, int protocol) {
  int fd = open_once(family, type, protocol);
  if (fd < 0 && braid_limit_raised()) fd = open_once(family, type, protocol);
  return fd < 0 ? -errno : fd;
}

/* ---- addresses ------------------------------------------------------------------------------------------------ */

int braid_address_unix(struct braid_address *address, const char *path) {
  struct sockaddr_un *un = (struct sockaddr_un *)&address->bytes;
  size_t size = strlen(path);
  if (size >= sizeof un->sun_path) return ENAMETOOLONG;
  memset(un, 0, sizeof *un);
  un->sun_family = AF_UNIX;
  memcpy(un->sun_path, path, size + 1);
  address->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
#ifdef __linux__
  if (*path == '@') { /* the size tells where the name ends */
    un->sun_path[0] = '\0';
    address->size--;
  }
#endif
  return 0;
}

void braid_address_text(const struct braid_address *address, char text[BRAID_ADDRESS_TEXT], int *port) {
  const struct sockaddr *bytes = (const struct sockaddr *)&address->bytes;
  *text = '\0';
  *port = 0;
  if (address->size <= offsetof(struct sockaddr, sa_data)) return; /* an unnamed Unix socket */
  if (bytes->sa_family == AF_UNIX) {
    const struct sockaddr_un *un = (const struct sockaddr_un *)bytes;
    size_t most = address->size - offsetof(struct sockaddr_un, sun_path);
    bool abstract = most > 1 && un->sun_path[0] == '\0';
    if (abstract) memcpy(text, "@", 2);
    size_t size = strnlen(un->sun_path + abstract, most - abstract);
    memcpy(text + abstract, un->sun_path + abstract, size);
    text[abstract + size] = '\0';
    return;
  }
  const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)bytes;
  *port = ntohs(bytes->sa_family == AF_INET6 ? six->sin6_port : ((const struct sockaddr_in *)bytes)->sin_port);
  if (bytes->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
    inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], text, BRAID_ADDRESS_TEXT);
  else
    getnameinfo(bytes, address->size, text, BRAID_ADDRESS_TEXT, NULL, 0, NI_NUMERICHOST);
}

/* ---- connections ---------------------------------------------------------------------------------------------- */

static int set(int fd, int level, int name, int value) { return setsockopt(fd, level, name, &value, sizeof value); }

static void set_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

static void set_keepalive(int fd, int seconds) {
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
  if (seconds > 0) set(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
  if (seconds > 0) set(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
#else
  (void)seconds;
#endif
}

/* TCP_NODELAY: a stream writes in one call what belongs together, so nothing is gained by a delay. */
static void prepare(int fd, int family, const struct braid_socket_options *options) {
  set_nonblocking(fd);
  if (family == AF_UNIX) return;
  if (!options->delay) set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (options->keepalive) set_keepalive(fd, options->keepalive);
}

static int fail(int fd) {
  int error = errno;
  close(fd);
  return -error;
}

int braid_socket_connect(const struct braid_address *address, const struct braid_socket_options *options,
                         bool *pending) {
  int fd = braid_socket_open(address->bytes.ss_family, SOCK_STREAM, 0);
  if (fd < 0) return fd;
  prepare(fd, address->bytes.ss_family, options);
  const struct braid_address *from = options->from;
  if (from && bind(fd, (const struct sockaddr *)&from->bytes, from->size)) return fail(fd);
  *pending = connect(fd, (const struct sockaddr *)&address->bytes, address->size) != 0;
  return *pending && errno != EINPROGRESS && errno != EINTR ? fail(fd) : fd;
}

int braid_socket_outcome(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) ? errno : error;
}

/* ---- listeners ------------------------------------------------------------------------------------------------ */

/* Removes a Unix socket at which nobody listens. False when it is something else. */
static bool remove_stale(const struct braid_address *address) {
  const struct sockaddr_un *un = (const struct sockaddr_un *)&address->bytes;
  struct stat facts;
  if (un->sun_family != AF_UNIX || lstat(un->sun_path, &facts) || !S_ISSOCK(facts.st_mode)) return false;
  bool pending;
  int fd = braid_socket_connect(address, &(struct braid_socket_options){0}, &pending);
  if (fd >= 0) close(fd);
  return fd == -ECONNREFUSED && unlink(un->sun_path) == 0;
}

static int prepare_listener(int fd, int family, const struct braid_listen_options *options) {
  set_nonblocking(fd);
  if (family != AF_UNIX && set(fd, SOL_SOCKET, SO_REUSEADDR, 1)) return -1;
#ifdef SO_REUSEPORT
  if (options->reuse_port && set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return -1;
#endif
  if (family != AF_INET6 || options->v6only < 0) return 0;
  return set(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6only);
}

int braid_socket_listen(const struct braid_address *address, const struct braid_listen_options *options) {
  const struct sockaddr *bytes = (const struct sockaddr *)&address->bytes;
  int fd = braid_socket_open(bytes->sa_family, SOCK_STREAM, 0);
  if (fd < 0) return fd;
  if (prepare_listener(fd, bytes->sa_family, options)) return fail(fd);
  int error = bind(fd, bytes, address->size);
  if (error && errno == EADDRINUSE) {
    error = remove_stale(address) ? bind(fd, bytes, address->size) : -1;
    if (error) errno = EADDRINUSE;
  }
  return error || listen(fd, options->backlog) ? fail(fd) : fd;
}

static int accept_once(int listener, struct braid_address *peer) {
  peer->size = sizeof peer->bytes;
#ifdef __linux__
  return accept4(listener, (struct sockaddr *)&peer->bytes, &peer->size, SOCK_CLOEXEC);
#else
  int fd = accept(listener, (struct sockaddr *)&peer->bytes, &peer->size);
  if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
#endif
}

/* Skips connections that were aborted before they were accepted. */
int braid_socket_accept(int listener, struct braid_address *peer) {
  int fd;
  do {
    fd = accept_once(listener, peer);
    if (fd < 0 && braid_limit_raised()) fd = accept_once(listener, peer);
  } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (fd < 0) return errno == EWOULDBLOCK ? -EAGAIN : -errno;
  prepare(fd, peer->bytes.ss_family, &(struct braid_socket_options){0});
  return fd;
}
