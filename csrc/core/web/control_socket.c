/* SPDX-License-Identifier: MIT
 * Sequential-packet sockets. macOS has none, so it uses datagrams; there the end of the other process is noticed
 * later. */
#include "core/web/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#ifdef __linux__
#include <sys/prctl.h>
enum { TYPE = SOCK_SEQPACKET };
#else
enum { TYPE = SOCK_DGRAM };
#endif

int braid_control_socket_open(int ends[2]) {
  if (socketpair(AF_UNIX, TYPE | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends)) return errno;
  return 0;
}

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

void braid_control_socket_die_with_parent(void) {
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
}
