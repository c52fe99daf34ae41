/* SPDX-License-Identifier: MIT
 * Sequential-packet sockets with abstract names, which leave nothing behind. */
#include "core/web/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef __linux__
enum { TYPE = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK };

static int fail(int fd) {
  int error = errno;
  if (fd >= 0) close(fd);
  return error;
}

int braid_control_socket_listen(int *listener, char name[BRAID_CONTROL_SOCKET_NAME]) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  socklen_t size = sizeof address;
  int fd = socket(AF_UNIX, TYPE, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)) || listen(fd, SOMAXCONN) ||
      getsockname(fd, (struct sockaddr *)&address, &size))
    return fail(fd);
  size_t length = size - offsetof(struct sockaddr_un, sun_path) - 1;
  if (length >= BRAID_CONTROL_SOCKET_NAME) {
    errno = EOVERFLOW;
    return fail(fd);
  }
  memcpy(name, address.sun_path + 1, length);
  name[length] = '\0';
  *listener = fd;
  return 0;
}

int braid_control_socket_accept(int listener, int *end, int *pid) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (fd < 0) return errno;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size)) return fail(fd);
  if (peer.uid != geteuid()) {
    errno = EAGAIN;
    return fail(fd);
  }
  *end = fd;
  *pid = peer.pid;
  return 0;
}

int braid_control_socket_connect(const char *name, int *end) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(name);
  if (length >= sizeof address.sun_path - 1) return ENAMETOOLONG;
  memcpy(address.sun_path + 1, name, length);
  int fd = socket(AF_UNIX, TYPE, 0);
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, size)) return fail(fd);
  *end = fd;
  return 0;
}
#else
int braid_control_socket_listen(int *listener, char name[BRAID_CONTROL_SOCKET_NAME]) {
  (void)listener, (void)name;
  return ENOTSUP;
}

int braid_control_socket_accept(int listener, int *end, int *pid) {
  (void)listener, (void)end, (void)pid;
  return ENOTSUP;
}

int braid_control_socket_connect(const char *name, int *end) {
  (void)name, (void)end;
  return ENOTSUP;
}
#endif

union control {
  struct cmsghdr head;
  char room[CMSG_SPACE(sizeof(int))];
};

int braid_control_socket_send(int end, const void *data, size_t size, int descriptor) {
  struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
  union control control = {0};
  if (descriptor >= 0) {
    message.msg_control = control.room;
    message.msg_controllen = sizeof control.room;
    control.head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    control.head.cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(&control.head), &descriptor, sizeof descriptor);
  }
  return sendmsg(end, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

int braid_control_socket_receive(int end, void *data, size_t *size, int *descriptor) {
  struct iovec piece = {.iov_base = data, .iov_len = BRAID_CONTROL_SOCKET_MOST};
  union control control = {0};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
  message.msg_control = control.room;
  message.msg_controllen = sizeof control.room;
  ssize_t count = recvmsg(end, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  *size = 0;
  *descriptor = -1;
  if (count < 0) return errno == ECONNRESET ? 0 : errno;
  *size = (size_t)count;
  const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  if (head && head->cmsg_type == SCM_RIGHTS) memcpy(descriptor, CMSG_DATA(head), sizeof *descriptor);
  return 0;
}
