/* SPDX-License-Identifier: MIT
 * A frame's head and body are put under one lock of the mutex, so nothing comes between them. outbox.c sends, inbox.c
 * receives, content.c writes and reads the contents of frames. */
#include "core/process/connection.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/process/content.h"
#include "core/process/protocol.h"

#ifndef MSG_NOSIGNAL /* then the socket has SO_NOSIGPIPE since it was made */
#define MSG_NOSIGNAL 0
#endif

enum { MOST_READS = 8 }; /* then other connections get their turn */

#define RETRY (5 * BRAID_SECOND / 1000) /* after a shortage of memory or descriptors */

/* ---- put ------------------------------------------------------------------------------------------------------ */

/* Ends the connection. It is called when memory is out after half a frame, because half a frame cannot stay. */
static bool give_up(struct braid_connection *connection) {
  connection->broken = true;
  shutdown(connection->fd, SHUT_RDWR);
  return false;
}

/* Under the mutex. */
static bool put(struct braid_connection *connection, struct braid_frame *frame, const struct braid_content *content) {
  return connection->broken || braid_content_put(connection, frame, content) || give_up(connection);
}

static bool put_in_turn(struct braid_connection *connection, struct braid_frame *frame,
                        const struct braid_content *content) {
  if (braid_loop_is_fork) return true; /* a forked copy must not write to the parent's connection */
  pthread_mutex_lock(&connection->mutex);
  bool done = put(connection, frame, content);
  pthread_mutex_unlock(&connection->mutex);
  return done;
}

bool braid_connection_put(struct braid_connection *connection, struct braid_frame frame, const void *body,
                          size_t size) {
  return put_in_turn(connection, &frame, &(struct braid_content){.body = body, .size = size});
}

bool braid_connection_put_message(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                  size_t size, struct braid_message *message) {
  return put_in_turn(connection, &frame, &(struct braid_content){.body = body, .size = size, .message = message});
}

bool braid_connection_put_items(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                size_t size, const struct braid_queue_cell *cells, size_t count) {
  return put_in_turn(connection, &frame,
                     &(struct braid_content){.body = body, .size = size, .cells = cells, .count = count});
}

/* ---- send: under the mutex ------------------------------------------------------------------------------------ */

static bool is_shortage(int error) { return error == ETOOMANYREFS || error == ENOBUFS || error == ENOMEM; }

enum progress { DONE, FULL, SHORT }; /* all is sent; the socket is full; the system is short of memory or descriptors */

/* Wakes the other end. When the socket is full of calls, it is awake already. */
static void call(struct braid_connection *connection) {
  unsigned char byte = BRAID_PIPE_CALL;
  ssize_t sent;
  do sent = send(connection->fd, &byte, sizeof byte, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
}

static ssize_t send_some(struct braid_connection *connection) {
  if (!connection->out_pipe.pipe) return braid_outbox_send(&connection->out, connection->fd);
  return braid_outbox_pour(&connection->out, connection->fd, &connection->out_pipe);
}

static enum progress send_pieces(struct braid_connection *connection) {
  while (connection->out.size > 0 && !connection->broken) {
    ssize_t sent = send_some(connection);
    if (sent > 0) {
      if (connection->full) atomic_fetch_add(&connection->signs, (unsigned long long)sent);
    } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      connection->full = true;
      return FULL;
    } else if (sent < 0 && is_shortage(errno)) {
      braid_outbox_bear(&connection->out, errno);
      return SHORT;
    } else if (sent < 0 && errno != EINTR) {
      give_up(connection); /* the readers at both ends then see the end of the connection */
    }
  }
  connection->full = false;
  if (connection->broken) braid_outbox_clear(&connection->out);
  return DONE;
}

static enum progress send_all(struct braid_connection *connection) {
  if (connection->out.size == 0) return DONE;
  connection->last_put = NULL;
  enum progress progress = send_pieces(connection);
  if (connection->out_pipe.pipe && braid_pipe_calls_reader(&connection->out_pipe)) call(connection);
  return progress;
}

static enum progress send_in_turn(struct braid_connection *connection) {
  if (braid_loop_is_fork) return DONE;
  pthread_mutex_lock(&connection->mutex);
  enum progress progress = send_all(connection);
  pthread_mutex_unlock(&connection->mutex);
  return progress;
}

void braid_connection_flush(struct braid_connection *connection) {
  if (send_in_turn(connection) != DONE) braid_errand_send(&connection->nudge);
}

static bool send_content(struct braid_connection *connection, struct braid_frame *frame,
                         const struct braid_content *content) {
  if (braid_loop_is_fork) return true;
  pthread_mutex_lock(&connection->mutex);
  bool done = put(connection, frame, content);
  enum progress progress = send_all(connection);
  pthread_mutex_unlock(&connection->mutex);
  if (progress != DONE) braid_errand_send(&connection->nudge);
  return done;
}

bool braid_connection_send(struct braid_connection *connection, struct braid_frame frame,
                           struct braid_message *message) {
  return send_content(connection, &frame, &(struct braid_content){.message = message});
}

bool braid_connection_send_body(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                size_t size) {
  return send_content(connection, &frame, &(struct braid_content){.body = body, .size = size});
}

void braid_connection_flush_held(struct braid_connection *connection) {
  braid_connection_flush(connection);
  atomic_fetch_sub(&connection->holders, 1);
}

void braid_connection_drain(struct braid_connection *connection) {
  enum progress progress;
  while ((progress = send_in_turn(connection)) != DONE) {
    struct pollfd wait = {.fd = connection->fd, .events = POLLOUT};
    bool socket_is_full = progress == FULL && !connection->out_pipe.pipe;
    poll(&wait, socket_is_full ? 1 : 0, socket_is_full ? 1000 : (int)(RETRY * 1000 / BRAID_SECOND));
  }
}

/* The I/O thread: sends what the socket takes, and watches for room when it is full. */
static void on_nudge(struct braid_errand *errand) {
  struct braid_connection *connection = braid_container(errand, struct braid_connection, nudge);
  struct braid_loop *loop = &connection->io_thread->loop;
  enum progress progress = send_in_turn(connection);
  if (!connection->watch.events) return;                                /* the connection has ended */
  bool socket_is_full = progress == FULL && !connection->out_pipe.pipe; /* the reader of a full pipe calls */
  braid_watch_change(loop, &connection->watch, socket_is_full ? BRAID_BOTH : BRAID_READ);
  if (progress == SHORT && !braid_alarm_start(loop, &connection->retry, braid_time_now() + RETRY))
    braid_watch_change(loop, &connection->watch, BRAID_BOTH); /* no memory for the alarm: tries at once */
}

static void draw_in_turn(struct braid_connection *connection);
static void begin_reading(struct braid_connection *connection);
static void end_reading(struct braid_connection *connection);

static void on_retry(struct braid_alarm *alarm) {
  struct braid_connection *connection = braid_container(alarm, struct braid_connection, retry);
  on_nudge(&connection->nudge);
  begin_reading(connection);
  if (connection->in_pipe.pipe) draw_in_turn(connection);
  end_reading(connection);
}

/* ---- read: who holds `reading` -------------------------------------------------------------------------------- */

void braid_connection_fail(struct braid_connection *connection, const char *why) {
  if (connection->fault) return;
  connection->fault = why;
  pthread_mutex_lock(&connection->mutex);
  give_up(connection);
  pthread_mutex_unlock(&connection->mutex);
}

static const char *fault_of(const struct braid_connection *connection, const struct braid_frame *frame) {
  if (frame->magic != BRAID_FRAME_MAGIC) return "bytes came that are no frame";
  if (frame->size > BRAID_FRAME_MOST) return "a frame is larger than any can be";
  if (frame->kind >= BRAID_FRAME_KINDS || !connection->handlers[frame->kind]) return "a frame has an unknown kind";
  return NULL;
}

/* A frame in a pipe can be faster than its descriptor's call is read. */
static const char *begin(struct braid_connection *connection, const struct braid_frame *frame, const char **fault) {
  struct braid_inbox *in = &connection->in;
  const char *body = braid_inbox_begin(in, frame);
  while (!body && connection->in_pipe.pipe && braid_inbox_take_call(in, connection->fd, fault) > 0 && !*fault)
    body = braid_inbox_begin(in, frame);
  if (!body && !*fault) *fault = "a frame came without its descriptor";
  return body;
}

/* Handles all complete frames. A handler may claim the descriptors that came with its frame. */
static void handle(struct braid_connection *connection) {
  struct braid_inbox *in = &connection->in;
  struct braid_frame frame;
  while (!connection->fault && braid_inbox_next(in, &frame)) {
    const char *fault = fault_of(connection, &frame), *body = NULL;
    if (!fault && !braid_inbox_is_whole(in, &frame)) break;
    if (!fault) body = begin(connection, &frame, &fault);
    if (fault) {
      braid_connection_fail(connection, fault);
      break;
    }
    connection->handlers[frame.kind](connection, &frame, body);
    braid_inbox_end(in, &frame);
  }
  braid_inbox_shift(in);
}

/* The I/O thread, for end and the next two functions. */
static void begin_reading(struct braid_connection *connection) {
  if (connection->reading) pthread_mutex_lock(connection->reading);
}

static void end(struct braid_connection *connection) {
  void (*ended)(struct braid_connection *) = connection->ended;
  braid_watch_stop(&connection->io_thread->loop, &connection->watch);
  connection->ended = NULL;
  if (ended) ended(connection);
}

static void end_reading(struct braid_connection *connection) {
  bool over = connection->over && connection->watch.events;
  if (connection->reading) pthread_mutex_unlock(connection->reading);
  if (over) end(connection);
}

/* Handles what a read brought; `got` is what it returned. False: there is no more now, or the connection has ended. */
static bool take_in(struct braid_connection *connection, ssize_t got, const char *fault) {
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  if (got < 0 && errno == ENOMEM && !connection->fault) {
    connection->fault = "there is no memory for what has come";
    connection->shortage = ENOMEM;
  }
  if (got <= 0) {
    connection->over = true;
    return false;
  }
  atomic_fetch_add(&connection->signs, (unsigned long long)got);
  if (fault) braid_connection_fail(connection, fault);
  handle(connection);
  if (connection->fault) connection->over = true;
  return !connection->fault;
}

/* Reads once from the socket, and handles what came. */
static bool read_some(struct braid_connection *connection, bool *full) {
  const char *fault = NULL;
  ssize_t got = braid_inbox_receive(&connection->in, connection->fd, full, &fault);
  return take_in(connection, got, fault);
}

/* The same for a pipe. False: it is empty, or the connection has ended. */
static bool draw_some(struct braid_connection *connection) {
  const char *fault = NULL;
  ssize_t got = braid_inbox_draw(&connection->in, &connection->in_pipe);
  if (got == 0) return false;
  if (got < 0 && errno == EBADMSG) fault = "a pipe has bytes that nobody can have written";
  if (fault) braid_connection_fail(connection, fault);
  bool goes_on = take_in(connection, got, NULL);
  if (goes_on && braid_pipe_calls_writer(&connection->in_pipe)) call(connection);
  return goes_on;
}

/* Reads until there is most likely no more; then the poller reports new data. */
static void read_in_turn(struct braid_connection *connection) {
  bool full = true;
  for (int i = 0; i < MOST_READS && full; i++)
    if (!read_some(connection, &full)) return;
}

static void draw_all(struct braid_connection *connection) {
  while (!connection->over && draw_some(connection)) {
  }
}

/* Says that this end waits, and must be called. But not while a thread looks: that says it at its end. False: there is
 * something to read. */
static bool await_bytes(struct braid_connection *connection) {
  bool seen = connection->io_looks || atomic_load(&connection->looked_at);
  return seen ? braid_pipe_filled(&connection->in_pipe) == 0 : braid_pipe_await_bytes(&connection->in_pipe);
}

/* Reads until the pipe is empty; then the other end calls. */
static void draw_in_turn(struct braid_connection *connection) {
  for (int i = 0; i < MOST_READS; i++) {
    if (connection->over) return;
    if (!draw_some(connection) && !connection->over && await_bytes(connection)) return;
  }
  if (!connection->over) braid_alarm_start(&connection->io_thread->loop, &connection->retry, braid_time_now());
}

/* The other end calls: there are bytes in its pipe, or room in ours; or it has closed. False: it has not called. */
static bool answer_call(struct braid_connection *connection) {
  const char *fault = NULL;
  ssize_t got = braid_inbox_take_call(&connection->in, connection->fd, &fault);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  if (fault) braid_connection_fail(connection, fault);
  if (got <= 0) draw_all(connection);
  if (got <= 0 || fault) connection->over = true;
  if (connection->over) return false;
  send_in_turn(connection);
  handle(connection);
  draw_in_turn(connection);
  return !connection->over;
}

static void read_rest(struct braid_connection *connection) {
  bool full;
  if (!connection->in_pipe.pipe) {
    while (!connection->over && read_some(connection, &full)) {
    }
    return;
  }
  while (!connection->over && answer_call(connection)) {
  }
  draw_all(connection);
}

void braid_connection_read_rest(struct braid_connection *connection) {
  begin_reading(connection);
  read_rest(connection);
  end_reading(connection);
}

static void on_event(struct braid_watch *watch, int events) {
  struct braid_connection *connection = braid_container(watch, struct braid_connection, watch);
  if (events & BRAID_WRITE) on_nudge(&connection->nudge);
  if (!(events & BRAID_READ)) return;
  begin_reading(connection);
  if (connection->in_pipe.pipe)
    answer_call(connection);
  else
    read_in_turn(connection);
  end_reading(connection);
}

/* A thread that looks has left frames for the I/O thread, or bytes came when it went to sleep. */
static void on_drawer(struct braid_errand *errand) {
  struct braid_connection *connection = braid_container(errand, struct braid_connection, drawer);
  begin_reading(connection);
  if (!connection->over) handle(connection);
  if (connection->fault) connection->over = true;
  draw_in_turn(connection);
  end_reading(connection);
}

/* ---- look: the I/O thread, before it sleeps -------------------------------------------------------------------- */

static bool may_look(const struct braid_connection *connection) {
  return connection->in_pipe.pipe && !connection->over && !connection->fault && !connection->in.without_pipe;
}

static bool begin_io_look(struct braid_connection *connection, enum braid_look how) {
  if (!connection->reading) return true;
  return how == BRAID_LOOK_AGAIN ? !pthread_mutex_trylock(connection->reading)
                                 : !pthread_mutex_lock(connection->reading);
}

/* It only finds out whether there is something; the drawer then reads it. */
static bool io_look(struct braid_lookout *lookout, enum braid_look how) {
  struct braid_connection *connection = braid_container(lookout, struct braid_connection, lookout);
  bool came = false;
  if (!begin_io_look(connection, how)) return false;
  connection->io_looks = how != BRAID_LOOK_END;
  if (may_look(connection)) {
    if (how == BRAID_LOOK_BEGIN) braid_pipe_take_back(&connection->in_pipe);
    if (how == BRAID_LOOK_AGAIN) came = !atomic_load(&connection->looked_at) && braid_pipe_filled(&connection->in_pipe);
    if (how == BRAID_LOOK_END && !await_bytes(connection)) braid_errand_send(&connection->drawer);
  }
  if (connection->reading) pthread_mutex_unlock(connection->reading);
  return came;
}

/* ---- look: any thread ----------------------------------------------------------------------------------------- */

/* False: somebody else reads, or there is no pipe. */
static bool begin_look(struct braid_connection *connection) {
  if (pthread_mutex_trylock(connection->reading)) return false;
  if (may_look(connection)) return true;
  pthread_mutex_unlock(connection->reading);
  return false;
}

static bool is_light(struct braid_connection *connection, const struct braid_frame *frame) {
  const char *body = connection->in.bytes.data + connection->in.handled + sizeof *frame;
  if (fault_of(connection, frame) || frame->descriptors > 0 || frame->channel) return false;
  switch (frame->kind) {
    case BRAID_FRAME_JOB:
    case BRAID_FRAME_REPLY: return !frame->has_message || braid_content_is_light(body, (size_t)frame->size);
    case BRAID_FRAME_ITEMS: return braid_content_items_are_light(body, (size_t)frame->size);
    case BRAID_FRAME_PLACES: return true;
    default: return false;
  }
}

/* Handles the light frames that come first. False: another one, which is not light, comes next; or one was malformed.
 */
static bool handle_light(struct braid_connection *connection) {
  struct braid_inbox *in = &connection->in;
  struct braid_frame frame;
  bool light = true;
  while (light && !connection->fault && braid_inbox_next(in, &frame) && braid_inbox_is_whole(in, &frame)) {
    light = is_light(connection, &frame);
    if (!light) break;
    connection->handlers[frame.kind](connection, &frame, braid_inbox_begin(in, &frame));
    braid_inbox_end(in, &frame);
  }
  braid_inbox_shift(in);
  return light && !connection->fault;
}

static bool draw_light(struct braid_connection *connection) {
  ssize_t got = braid_inbox_draw(&connection->in, &connection->in_pipe);
  if (got > 0) atomic_fetch_add(&connection->signs, (unsigned long long)got);
  if (got < 0 || (got > 0 && !handle_light(connection))) braid_errand_send(&connection->drawer);
  if (got > 0 && braid_pipe_calls_writer(&connection->in_pipe)) call(connection);
  return got > 0;
}

/* A connection that closes is no longer looked at. */
static void end_look(struct braid_connection *connection) {
  if (!atomic_load(&connection->looked_at)) return;
  pthread_mutex_lock(connection->reading);
  atomic_store(&connection->looked_at, false);
  if (may_look(connection) && !await_bytes(connection)) braid_errand_send(&connection->drawer);
  pthread_mutex_unlock(connection->reading);
}

bool braid_connection_look(struct braid_connection *connection, enum braid_look how) {
  if (how == BRAID_LOOK_END) end_look(connection);
  if (how == BRAID_LOOK_END || !begin_look(connection)) return false;
  if (!atomic_exchange(&connection->looked_at, true)) braid_pipe_take_back(&connection->in_pipe);
  bool came = how == BRAID_LOOK_AGAIN && draw_light(connection);
  pthread_mutex_unlock(connection->reading);
  return came;
}

int braid_connection_descriptor(struct braid_connection *connection) { return braid_inbox_claim(&connection->in); }

/* ---- open and close ------------------------------------------------------------------------------------------- */

void braid_connection_handle(struct braid_connection *connection, unsigned kind, braid_connection_handler *handler) {
  connection->handlers[kind] = handler;
}

static void set_in_pipe(struct braid_connection *connection, struct braid_pipe *pipe) {
  if (connection->reading) pthread_mutex_lock(connection->reading);
  connection->in_pipe = (struct braid_pipe_end){pipe, 0};
  connection->io_looks = false;
  atomic_store(&connection->looked_at, false);
  if (connection->reading) pthread_mutex_unlock(connection->reading);
}

int braid_connection_open(struct braid_connection *connection, struct braid_io_thread *io_thread, int fd,
                          const struct braid_marshal *marshal) {
  connection->io_thread = io_thread;
  connection->marshal = marshal;
  connection->broken = connection->full = connection->over = false;
  connection->out_pipe = (struct braid_pipe_end){0};
  set_in_pipe(connection, NULL);
  connection->fault = NULL;
  atomic_init(&connection->signs, 0);
  atomic_init(&connection->holders, 0);
  connection->watch = (struct braid_watch){.fire = on_event};
  connection->retry = (struct braid_alarm){.fire = on_retry};
  connection->shortage = 0;
  connection->lookout.look = io_look;
  braid_list_init(&connection->lookout.sibling);
  braid_outbox_init(&connection->out);
  connection->last_put = NULL;
  braid_inbox_init(&connection->in);
  braid_errand_init(&connection->nudge, io_thread, on_nudge);
  braid_errand_init(&connection->drawer, io_thread, on_drawer);
  if (!braid_content_begin(connection)) return ENOMEM;
  connection->fd = fd;
  int error = braid_watch_start(&io_thread->loop, &connection->watch, fd, BRAID_READ);
  if (!error) {
    pthread_mutex_init(&connection->mutex, NULL);
    return 0;
  }
  braid_content_end(connection);
  connection->fd = -1;
  return error;
}

void braid_connection_use_pipes(struct braid_connection *connection, struct braid_pipe *out, struct braid_pipe *in) {
  connection->out_pipe = (struct braid_pipe_end){out, 0};
  set_in_pipe(connection, in);
  braid_lookout_start(&connection->io_thread->loop, &connection->lookout);
}

void braid_connection_close(struct braid_connection *connection) {
  set_in_pipe(connection, NULL); /* from now on nobody looks */
  braid_lookout_stop(&connection->lookout);
  braid_watch_stop(&connection->io_thread->loop, &connection->watch);
  braid_alarm_stop(&connection->io_thread->loop, &connection->retry);
  braid_content_end(connection);
  while (atomic_load(&connection->holders) > 0) sched_yield(); /* they are in one system call that does not block */
  braid_errand_recall(&connection->nudge);
  braid_errand_recall(&connection->drawer);
  braid_outbox_clear(&connection->out);
  braid_inbox_term(&connection->in);
  braid_content_forget(connection);
  close(connection->fd);
  connection->fd = -1;
  pthread_mutex_destroy(&connection->mutex);
}
