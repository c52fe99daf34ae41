/* SPDX-License-Identifier: MIT
 * Waits for descriptors: for those of other libraries (wait_fd), and for our own (userdata "braid.descriptor"), from
 * which lua/braid/io/stream.lua makes streams.
 *
 * A watch is started when a wait begins and stopped when the wait ends. So it may be in memory that the waiting task's
 * stack keeps alive. Closing one of our descriptors first ends the waits for it. */
#include "lua/io/lfd.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/limit.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/io/ltls.h"
#include "lua/sched/lsched.h"

#define METATABLE "braid.descriptor"

static void wake(struct braid_watch *watch, int events) {
  struct fd_wait *wait = braid_container(watch, struct fd_wait, watch);
  wait->ready = events;
  braid_loop_end_wait(wait->waiter->home, wait->waiter, BRAID_OK);
}

/* 0 or an error number; EPERM: the descriptor is always ready. */
static int start_wait(struct fd_wait *wait, struct braid_waiter *waiter, int fd, int events) {
  /* The loop has a slot for each number up to the highest, so a large number must be a descriptor that exists. */
  if (fd >= waiter->home->slot_count && fcntl(fd, F_GETFD) < 0) return errno;
  wait->asked = events;
  wait->waiter = waiter;
  wait->busy = true;
  if (wait->known) return braid_watch_resume(waiter->home, &wait->watch, fd, events);
  int error = braid_watch_start(waiter->home, &wait->watch, fd, events);
  wait->known = error == 0;
  return error;
}

void lfd_leave(struct sched *sched, struct fd_wait *wait) {
  braid_watch_stop(&sched->loop, &wait->watch);
  wait->waiter = NULL;
  wait->busy = false;
}

enum braid_status lfd_end(struct sched *sched, struct fd_wait *wait) {
  enum braid_status end = sched_end(sched);
  lfd_leave(sched, wait);
  return end;
}

/* ---- descriptors of other libraries --------------------------------------------------------------------------- */

static int larg_fd(lua_State *L, int index) { return (int)larg_between(L, index, "fd", 0, INT_MAX); }

static int larg_events(lua_State *L, int index) {
  const char *mode = larg_string(L, index, "mode", NULL);
  if (strcmp(mode, "r") == 0) return BRAID_READ;
  if (strcmp(mode, "w") == 0) return BRAID_WRITE;
  if (strcmp(mode, "rw") == 0) return BRAID_BOTH;
  return larg_error(L, index, "mode", "\"r\", \"w\" or \"rw\"");
}

static int push_ready(lua_State *L, int asked, int ready) {
  static const char *const names[] = {[BRAID_READ] = "r", [BRAID_WRITE] = "w", [BRAID_BOTH] = "rw"};
  if (asked == BRAID_BOTH)
    lua_pushstring(L, names[ready]);
  else
    lua_pushboolean(L, 1);
  return 1;
}

static int push_fd_error(lua_State *L, int fd, int error) {
  return lerror_system(L, error, lua_pushfstring(L, "wait_fd: descriptor %d", fd));
}

/* Checks without waiting. */
static int try_fd(lua_State *L, int fd, int asked) {
  struct pollfd look = {.fd = fd};
  if (asked & BRAID_READ) look.events |= POLLIN;
  if (asked & BRAID_WRITE) look.events |= POLLOUT;
  if (poll(&look, 1, 0) < 0 && errno != EINTR) return push_fd_error(L, fd, errno);
  if (look.revents & POLLNVAL) return push_fd_error(L, fd, EBADF);
  int ready = (look.revents & POLLIN ? BRAID_READ : 0) | (look.revents & POLLOUT ? BRAID_WRITE : 0);
  if (look.revents & (POLLERR | POLLHUP)) ready = BRAID_BOTH;
  return ready & asked ? push_ready(L, asked, ready & asked) : lerror_return(L, BRAID_TIMEOUT, "wait_fd");
}

static int wait_fd_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct sched *sched = sched_of(L);
  struct fd_wait *wait = (struct fd_wait *)context; /* the stack keeps it alive */
  enum braid_status end = lfd_end(sched, wait);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  return end == BRAID_OK ? push_ready(L, wait->asked, wait->ready) : lerror_return(L, end, "wait_fd");
}

static int try_fd_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  sched_end(sched_of(L));
  return try_fd(L, larg_fd(L, 1), (int)context);
}

/* wait_fd(fd, "r" | "w" | "rw", timeout) -> true; for "rw" what is ready: "r", "w" or "rw" | nil, err. Suspends. */
static int wait_fd(lua_State *L) {
  struct sched *sched = sched_of(L);
  int fd = larg_fd(L, 1), asked = larg_events(L, 2);
  int64_t deadline = larg_timeout(L, 3);
  if (deadline == LARG_ONCE) {
    if (sched_enter(L, sched)) return sched_pass(L, sched, try_fd_k, asked);
    return try_fd(L, fd, asked);
  }
  struct fd_wait *wait = lua_newuserdatauv(L, sizeof *wait, 0);
  *wait = (struct fd_wait){.watch = {.fire = wake}};
  struct braid_waiter *waiter = sched_begin(L, sched);
  int error = start_wait(wait, waiter, fd, asked);
  if (error == 0) return sched_park(L, sched, deadline, wait_fd_k, (lua_KContext)wait);
  sched_forget(sched);
  return error == EPERM ? push_ready(L, asked, asked) : push_fd_error(L, fd, error);
}

/* forget_fd(fd): nobody here waits for the descriptor any more, and another thread will close it */
static int forget_fd(lua_State *L) {
  braid_loop_forget(&sched_of(L)->loop, larg_fd(L, 1));
  return 0;
}

/* ---- our own descriptors -------------------------------------------------------------------------------------- */

struct descriptor *lfd_new(lua_State *L) {
  struct descriptor *descriptor = lua_newuserdatauv(L, sizeof *descriptor, 0);
  *descriptor = (struct descriptor){.fd = -1, .reader.watch.fire = wake, .writer.watch.fire = wake};
  luaL_setmetatable(L, METATABLE);
  return descriptor;
}

void lfd_adopt(struct descriptor *descriptor, int fd) {
  struct stat facts;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
#ifdef F_SETNOSIGPIPE
  fcntl(fd, F_SETNOSIGPIPE, 1);
#endif
  bool known = fstat(fd, &facts) == 0;
  descriptor->socket = known && S_ISSOCK(facts.st_mode);
  descriptor->terminal = known && S_ISCHR(facts.st_mode);
  descriptor->fd = fd;
}

struct descriptor *lfd_check(lua_State *L, int index) {
  return larg_object(L, index, METATABLE);
}

static struct descriptor *self(lua_State *L) { return lfd_check(L, 1); }

static void let_go(struct fd_wait *wait) {
  if (!wait->waiter) return;
  braid_watch_stop(wait->waiter->home, &wait->watch);
  braid_loop_end_wait(wait->waiter->home, wait->waiter, BRAID_CLOSED);
}

void lfd_disown(struct descriptor *descriptor) {
  if (descriptor->fd < 0) return;
  let_go(&descriptor->reader);
  let_go(&descriptor->writer);
  ltls_close(descriptor);
  descriptor->fd = -1;
}

void lfd_close(struct descriptor *descriptor) {
  int fd = descriptor->fd;
  lfd_disown(descriptor);
  if (fd >= 0) close(fd);
}

/* close(). Waits for the descriptor end with kind "closed". */
static int descriptor_close(lua_State *L) {
  lfd_close(self(L));
  return 0;
}

/* fd() -> number; nothing if it is closed. */
static int descriptor_fd(lua_State *L) {
  struct descriptor *descriptor = self(L);
  if (descriptor->fd < 0) return 0;
  lua_pushinteger(L, descriptor->fd);
  return 1;
}

/* reading() -> whether a read is in progress. */
static int descriptor_reading(lua_State *L) {
  lua_pushboolean(L, self(L)->reader.busy);
  return 1;
}

struct fd_wait *lfd_begin(lua_State *L, struct fd_wait *wait, const char *doing) {
  if (wait->busy) lerror_misuse(L, "another task is %s this descriptor", doing);
  wait->deadline = larg_timeout(L, lua_gettop(L));
  return wait;
}

int lfd_wait(lua_State *L, struct fd_wait *wait, int events, const char *what, lua_KFunction k) {
  struct sched *sched = sched_of(L);
  if (wait->deadline == LARG_ONCE) return lerror_return(L, BRAID_TIMEOUT, what);
  struct braid_waiter *waiter = sched_begin(L, sched);
  int error = start_wait(wait, waiter, self(L)->fd, events);
  if (error == 0) return sched_park(L, sched, wait->deadline, k, 0);
  sched_forget(sched);
  lfd_leave(sched, wait);
  return lerror_system(L, error, what);
}

int lfd_wait_either(lua_State *L, struct descriptor *first, struct descriptor *second, const char *what,
                    lua_KFunction k) {
  struct sched *sched = sched_of(L);
  if (first->reader.deadline == LARG_ONCE) return lerror_return(L, BRAID_TIMEOUT, what);
  struct braid_waiter *waiter = sched_begin(L, sched);
  int error = start_wait(&first->reader, waiter, first->fd, BRAID_READ);
  if (!error) error = start_wait(&second->reader, waiter, second->fd, BRAID_READ);
  if (!error) return sched_park(L, sched, first->reader.deadline, k, 0);
  sched_forget(sched);
  lfd_leave(sched, &first->reader);
  lfd_leave(sched, &second->reader);
  return lerror_system(L, error, what);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

enum { CHUNK = 65536 };

static int read_k(lua_State *L, int status, lua_KContext context);

static int read_tls(lua_State *L, struct descriptor *descriptor, char *room, size_t size) {
  int events, count = ltls_read(L, descriptor, room, size, &events);
  return events ? lfd_wait(L, &descriptor->reader, events, "stream:read", read_k) : count;
}

static int read_on(lua_State *L, struct descriptor *descriptor) {
  char chunk[CHUNK];
  size_t room = (size_t)lua_tointeger(L, 2);
  if (descriptor->fd < 0) return lerror_return(L, BRAID_CLOSED, "stream:read");
  if (descriptor->tls) return read_tls(L, descriptor, chunk, room < CHUNK ? room : CHUNK);
  ssize_t count;
  do count = read(descriptor->fd, chunk, room < CHUNK ? room : CHUNK);
  while (count < 0 && errno == EINTR);
  if (count > 0) {
    lua_pushlstring(L, chunk, (size_t)count);
    return 1;
  }
  if (count == 0 || (errno == EIO && descriptor->terminal)) return 0;
  if (errno == ECONNRESET) {
    lua_pushnil(L);
    lerror_push(L, "closed", "stream:read: the other side has reset the connection");
    return 2;
  }
  if (errno != EAGAIN && errno != EWOULDBLOCK) return lerror_system(L, errno, "stream:read");
  return lfd_wait(L, &descriptor->reader, BRAID_READ, "stream:read", read_k);
}

static int read_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lua_touserdata(L, 1);
  enum braid_status end = lfd_end(sched, &descriptor->reader);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  return end == BRAID_OK ? read_on(L, descriptor) : lerror_return(L, end, "stream:read");
}

/* read(max, timeout) -> up to max bytes, as soon as there are any; nothing at the end | nil, err. Suspends. */
static int descriptor_read(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = self(L);
  larg_integer(L, 2, "max", 1);
  lua_settop(L, 3);
  struct fd_wait *reader = lfd_begin(L, &descriptor->reader, "reading from");
  if (!sched_enter(L, sched)) return read_on(L, descriptor);
  reader->busy = true;
  return sched_pass(L, sched, read_k, 0);
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

#ifdef F_SETNOSIGPIPE
/* F_SETNOSIGPIPE was set for the descriptor. */
static ssize_t write_quietly(int fd, const char *data, size_t size) { return write(fd, data, size); }
#else
static bool is_pending(int signal) {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, signal);
}

/* If the other end is closed, a write raises SIGPIPE, which would end the process. So the signal is blocked meanwhile,
 * and removed if this write has raised it. */
static ssize_t write_quietly(int fd, const char *data, size_t size) {
  sigset_t pipe_signal, before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  bool others = sigismember(&before, SIGPIPE) && is_pending(SIGPIPE);
  ssize_t count = write(fd, data, size);
  int error = errno;
  if (count < 0 && error == EPIPE && !others && is_pending(SIGPIPE)) { /* it is not pending when it is ignored */
    int taken;
    sigwait(&pipe_signal, &taken);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
  return count;
}
#endif

static ssize_t write_some(const struct descriptor *descriptor, const char *data, size_t size) {
  ssize_t count;
  do {
#ifdef MSG_NOSIGNAL
    if (descriptor->socket)
      count = send(descriptor->fd, data, size, MSG_NOSIGNAL);
    else
#endif
      count = write_quietly(descriptor->fd, data, size);
  } while (count < 0 && errno == EINTR);
  return count;
}

static int write_k(lua_State *L, int status, lua_KContext context);

static int write_tls(lua_State *L, struct descriptor *descriptor, const char *data, size_t size) {
  int events, count = ltls_write(L, descriptor, data, size, &events);
  return events ? lfd_wait(L, &descriptor->writer, events, "stream:write", write_k) : count;
}

static int write_on(lua_State *L, struct descriptor *descriptor) {
  if (descriptor->fd < 0) return lerror_return(L, BRAID_CLOSED, "stream:write");
  size_t size, from = (size_t)lua_tointeger(L, 3) - 1;
  const char *data = lua_tolstring(L, 2, &size);
  if (descriptor->tls) return write_tls(L, descriptor, data + from, from < size ? size - from : 0);
  ssize_t count = from < size ? write_some(descriptor, data + from, size - from) : 0;
  if (count >= 0) {
    lua_pushinteger(L, (lua_Integer)count);
    return 1;
  }
  if (errno == EPIPE || errno == ECONNRESET) {
    lua_pushnil(L);
    lerror_push(L, "closed", "stream:write: the other side has closed");
    return 2;
  }
  if (errno != EAGAIN && errno != EWOULDBLOCK) return lerror_system(L, errno, "stream:write");
  return lfd_wait(L, &descriptor->writer, BRAID_WRITE, "stream:write", write_k);
}

static int write_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lua_touserdata(L, 1);
  enum braid_status end = lfd_end(sched, &descriptor->writer);
  if (end != BRAID_OK) ltls_abandon(descriptor);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  return end == BRAID_OK ? write_on(L, descriptor) : lerror_return(L, end, "stream:write");
}

/* write(string, from, timeout) -> number of bytes written, from index `from` on; maybe not all | nil, err. Suspends. */
static int descriptor_write(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = self(L);
  larg_string(L, 2, "data", NULL);
  larg_integer(L, 3, "from", 1);
  lua_settop(L, 4);
  struct fd_wait *writer = lfd_begin(L, &descriptor->writer, "writing to");
  if (!sched_enter(L, sched)) return write_on(L, descriptor);
  writer->busy = true;
  return sched_pass(L, sched, write_k, 0);
}

/* ---- pipes ---------------------------------------------------------------------------------------------------- */

#ifdef __linux__
static int open_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }
#else
static int open_pipe(int ends[2]) {
  if (pipe(ends)) return -1;
  for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFD, FD_CLOEXEC);
  return 0;
}
#endif

int lfd_pipe(int ends[2]) {
  while (open_pipe(ends))
    if (!braid_limit_raised()) return errno;
  return 0;
}

/* pipe() -> descriptor for reading, descriptor for writing | nil, err. */
static int new_pipe(lua_State *L) {
  int ends[2];
  struct descriptor *reader = lfd_new(L), *writer = lfd_new(L);
  int error = lfd_pipe(ends);
  if (error) return lerror_system(L, error, "pipe");
  lfd_adopt(reader, ends[0]);
  lfd_adopt(writer, ends[1]);
  return 2;
}

void lfd_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"read", descriptor_read},
                                     {"write", descriptor_write},
                                     {"close", descriptor_close},
                                     {"reading", descriptor_reading},
                                     {"fd", descriptor_fd},
                                     {"__gc", descriptor_close},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"wait_fd", wait_fd}, {"forget_fd", forget_fd}, {"pipe", new_pipe}, {NULL, NULL}};
  sched_class(L, METATABLE, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
}
