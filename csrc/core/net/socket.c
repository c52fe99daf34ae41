/* SPDX-License-Identifier: MIT
 * The system calls for TCP and Unix sockets. */
#include "core/net/socket.h"

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
    size_t size = strnlen(un->sun_path, most < BRAID_ADDRESS_TEXT ? most : BRAID_ADDRESS_TEXT - 1);
    memcpy(text, un->sun_path, size);
    text[size] = '\0';
    return;
  }
  getnameinfo(bytes, address->size, text, BRAID_ADDRESS_TEXT, NULL, 0, NI_NUMERICHOST);
  *port = bytes->sa_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)bytes)->sin6_port)
                                       : ntohs(((const struct sockaddr_in *)bytes)->sin_port);
}

/* ---- connections ---------------------------------------------------------------------------------------------- */

/* TCP_NODELAY: a stream writes in one call what belongs together, so nothing is gained by a delay. */
static void prepare(int fd, int family) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  if (family != AF_UNIX) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

static int fail(int fd) {
  int error = errno;
  close(fd);
  return -error;
}

int braid_socket_connect(const struct braid_address *address, bool *pending) {
  int fd = braid_socket_open(address->bytes.ss_family, SOCK_STREAM, 0);
  if (fd < 0) return fd;
  prepare(fd, address->bytes.ss_family);
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
  int fd = braid_socket_connect(address, &pending);
  if (fd >= 0) close(fd);
  return fd == -ECONNREFUSED && unlink(un->sun_path) == 0;
}

int braid_socket_listen(const struct braid_address *address, int backlog, bool reuse_port) {
  const struct sockaddr *bytes = (const struct sockaddr *)&address->bytes;
  int fd = braid_socket_open(bytes->sa_family, SOCK_STREAM, 0);
  if (fd < 0) return fd;
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  if (bytes->sa_family != AF_UNIX) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
#ifdef SO_REUSEPORT
  if (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int))) return fail(fd);
#endif
  int error = bind(fd, bytes, address->size);
  if (error && errno == EADDRINUSE) {
    error = remove_stale(address) ? bind(fd, bytes, address->size) : -1;
    if (error) errno = EADDRINUSE;
  }
  return error || listen(fd, backlog) ? fail(fd) : fd;
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
  prepare(fd, peer->bytes.ss_family);
  return fd;
}
