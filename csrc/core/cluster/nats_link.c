/* SPDX-License-Identifier: MIT
 * References: one of the owner, one of the thread that connects, then one that the client's connection has until it is
 * closed. The client calls back on any thread, mostly with the lock of its connection. So the mutex here is the inner
 * one: nothing of the client is called under it.
 *
 * The loop waits for an epoll descriptor. In it are the client's socket, which the callbacks add and remove, and a bell
 * that they ring when the state changes. */
#include "core/cluster/nats_link.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct braid_nats_link {
  atomic_uint refs;
  natsOptions *options;
  _Atomic(natsConnection *) client; /* NULL before it is connected for the first time */
  int poll, bell;
  atomic_int state;
  atomic_uint epoch;
  atomic_bool held;   /* by the client's connection */
  atomic_bool polled; /* the client reads and writes in `turn`; false: it has lost the connection */
  char reason[256];   /* written once, before the state says so */
  pthread_mutex_t mutex;
  int socket; /* -1: none; guarded by the mutex, as the rest */
  int left;   /* -1: none; a socket that the client has left to us to close */
  uint32_t events;
  bool known;                  /* to epoll */
  bool doomed;                 /* the owner has closed it */
  struct heard *first, **last; /* messages that were heard */
  natsSubscription **subscriptions;
  int count;
};

struct heard {
  struct heard *next;
  natsMsg *message;
};

/* The owner's thread may be inside a read of the client. So only that thread closes the socket; or the last one that
 * has the link. */
static void close_left(struct braid_nats_link *link) {
  pthread_mutex_lock(&link->mutex);
  int left = link->left;
  link->left = -1;
  pthread_mutex_unlock(&link->mutex);
  if (left >= 0) close(left);
}

static void unref(struct braid_nats_link *link) {
  if (atomic_fetch_sub(&link->refs, 1) > 1) return;
  close_left(link);
  for (natsMsg *message; (message = braid_nats_link_next_heard(link));) natsMsg_Destroy(message);
  natsOptions_Destroy(link->options);
  close(link->poll);
  close(link->bell);
  pthread_mutex_destroy(&link->mutex);
  free(link->subscriptions);
  free(link);
}

static void ring(struct braid_nats_link *link) {
  uint64_t one = 1;
  while (write(link->bell, &one, sizeof one) < 0 && errno == EINTR) continue;
}

static void enter(struct braid_nats_link *link, enum braid_nats_state state) {
  atomic_store(&link->state, (int)state);
  ring(link);
}

/* ---- what the client calls -------------------------------------------------------------------------------------- */

/* Tells epoll which events of the socket matter. Under the mutex. */
static natsStatus update(struct braid_nats_link *link) {
  struct epoll_event event = {.events = link->events, .data.u32 = 0};
  if (link->socket < 0) return NATS_OK;
  int how = !link->events ? EPOLL_CTL_DEL : link->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (!link->events && !link->known) return NATS_OK;
  int failed = epoll_ctl(link->poll, how, link->socket, &event);
  link->known = link->events && !failed;
  return failed && link->events ? NATS_IO_ERROR : NATS_OK;
}

static natsStatus change(struct braid_nats_link *link, uint32_t event, bool add) {
  pthread_mutex_lock(&link->mutex);
  link->events = add ? link->events | event : link->events & ~event;
  natsStatus status = update(link);
  pthread_mutex_unlock(&link->mutex);
  return status;
}

static natsStatus attach(void **data, void *loop, natsConnection *client, natsSock socket) {
  struct braid_nats_link *link = loop;
  (void)client;
  *data = link;
  pthread_mutex_lock(&link->mutex);
  link->events = 0;
  update(link);
  link->socket = socket;
  link->known = false;
  link->events = EPOLLIN;
  natsStatus status = update(link);
  pthread_mutex_unlock(&link->mutex);
  return status;
}

/* The client has lost or closed the connection. From its version 3.10 on it leaves the socket to who has polled it (see
 * natsConnection_ProcessCloseEvent). One that is left since an earlier connection is out of use for long. Under the
 * mutex. */
static void leave_socket(struct braid_nats_link *link) {
  link->events = 0;
  update(link);
#if NATS_VERSION_NUMBER >= 0x030A00
  if (link->left >= 0) close(link->left);
  link->left = link->socket;
#endif
  link->socket = -1;
}

/* Removed only when the connection is lost: from then on the client may hold its lock for long. */
static natsStatus read_wanted(void *data, bool add) {
  struct braid_nats_link *link = data;
  if (add) return change(link, EPOLLIN, true);
  atomic_store(&link->polled, false);
  pthread_mutex_lock(&link->mutex);
  leave_socket(link);
  pthread_mutex_unlock(&link->mutex);
  ring(link);
  return NATS_OK;
}

static natsStatus write_wanted(void *data, bool add) { return change(data, EPOLLOUT, add); }

static natsStatus detach(void *data) {
  struct braid_nats_link *link = data;
  atomic_store(&link->polled, false);
  pthread_mutex_lock(&link->mutex);
  link->events = 0;
  update(link);
  link->socket = -1;
  pthread_mutex_unlock(&link->mutex);
  return NATS_OK;
}

static void on_lost(natsConnection *client, void *context) {
  (void)client;
  enter(context, BRAID_NATS_LOST);
}

static void begin_epoch(struct braid_nats_link *link) {
  atomic_fetch_add(&link->epoch, 1);
  atomic_store(&link->polled, true);
  enter(link, BRAID_NATS_CONNECTED);
}

static void on_connected_again(natsConnection *client, void *context) {
  (void)client;
  begin_epoch(context);
}

/* The client's connection does not call back any more. */
static void let_go(struct braid_nats_link *link) {
  if (atomic_exchange(&link->held, false)) unref(link);
}

static void give_up(struct braid_nats_link *link, const char *why) {
  pthread_mutex_lock(&link->mutex);
  if (!link->reason[0]) strncpy(link->reason, why, sizeof link->reason - 1);
  pthread_mutex_unlock(&link->mutex);
  enter(link, BRAID_NATS_CLOSED);
  let_go(link);
}

/* By the owner; or the client has given up, because a server has refused it twice. */
static void on_closed(natsConnection *client, void *context) {
  const char *told = NULL;
  natsStatus status = natsConnection_GetLastError(client, &told);
  give_up(context, told && *told ? told : natsStatus_GetText(status));
}

/* Slow consumers and the like: the protocols above notice what is missing. */
static void on_error(natsConnection *client, natsSubscription *subscription, natsStatus status, void *context) {
  (void)client, (void)subscription, (void)status, (void)context;
}

/* ---- threads ------------------------------------------------------------------------------------------------------
 */

/* Signals are for the main thread. The client's own threads inherit the mask, and the name. */
static int start(void *(*fn)(void *), void *argument) {
  pthread_t thread;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread, NULL, fn, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!error) pthread_detach(thread);
  return error;
}

static void name_thread(void) { prctl(PR_SET_NAME, "braid-nats"); }

static void *open_library(void *argument) {
  name_thread();
  nats_Open(-1);
  nats_ReleaseThreadMemory();
  return argument;
}

/* The library starts threads when it is first used: on a thread of ours, from which they inherit mask and name. */
static void open_once(void) {
  pthread_t thread;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  if (!pthread_create(&thread, NULL, open_library, NULL)) pthread_join(thread, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void braid_nats_link_prepare(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open_once);
}

static void *destroy(void *argument) {
  struct braid_nats_link *link = argument;
  name_thread();
  for (int i = 0; i < link->count; i++) natsSubscription_Destroy(link->subscriptions[i]);
  natsConnection_Destroy(atomic_load(&link->client));
  unref(link);
  nats_ReleaseThreadMemory();
  return NULL;
}

static void *connect_first(void *argument) {
  struct braid_nats_link *link = argument;
  natsConnection *client = NULL;
  name_thread();
  atomic_fetch_add(&link->refs, 1);
  atomic_store(&link->held, true);
  natsStatus status = natsConnection_Connect(&client, link->options);
  if (status != NATS_OK) {
    const char *told = nats_GetLastError(NULL);
    give_up(link, told && *told ? told : natsStatus_GetText(status));
    unref(link);
    nats_ReleaseThreadMemory();
    return NULL;
  }
  pthread_mutex_lock(&link->mutex);
  atomic_store(&link->client, client);
  bool doomed = link->doomed;
  pthread_mutex_unlock(&link->mutex);
  if (doomed) return destroy(link);
  begin_epoch(link);
  unref(link);
  nats_ReleaseThreadMemory();
  return NULL;
}

/* ---- opening and closing ------------------------------------------------------------------------------------------
 */

static natsStatus set_callbacks(natsOptions *options, struct braid_nats_link *link) {
  natsStatus s = natsOptions_SetEventLoop(options, link, attach, read_wanted, write_wanted, detach);
  if (s == NATS_OK) s = natsOptions_SetDisconnectedCB(options, on_lost, link);
  if (s == NATS_OK) s = natsOptions_SetReconnectedCB(options, on_connected_again, link);
  if (s == NATS_OK) s = natsOptions_SetClosedCB(options, on_closed, link);
  if (s == NATS_OK) s = natsOptions_SetErrorHandler(options, on_error, link);
  return s;
}

static struct braid_nats_link *prepare(natsOptions *options) {
  struct braid_nats_link *link = calloc(1, sizeof *link);
  if (!link) {
    natsOptions_Destroy(options);
    errno = ENOMEM;
    return NULL;
  }
  atomic_init(&link->refs, 1);
  link->options = options;
  link->socket = link->left = -1;
  link->last = &link->first;
  pthread_mutex_init(&link->mutex, NULL);
  link->poll = epoll_create1(EPOLL_CLOEXEC);
  link->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return link;
}

struct braid_nats_link *braid_nats_link_open(natsOptions *options) {
  struct braid_nats_link *link = prepare(options);
  if (!link) return NULL;
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = 1};
  int error = 0;
  if (link->poll < 0 || link->bell < 0 || epoll_ctl(link->poll, EPOLL_CTL_ADD, link->bell, &event)) error = errno;
  if (!error && set_callbacks(options, link) != NATS_OK) error = ENOMEM;
  if (!error) {
    atomic_fetch_add(&link->refs, 1); /* of the thread */
    error = start(connect_first, link);
    if (error) unref(link);
  }
  if (!error) return link;
  unref(link);
  errno = error;
  return NULL;
}

void braid_nats_link_close(struct braid_nats_link *link, natsSubscription **subscriptions, int count) {
  pthread_mutex_lock(&link->mutex);
  link->doomed = true;
  link->subscriptions = subscriptions;
  link->count = count;
  natsConnection *client = atomic_load(&link->client);
  pthread_mutex_unlock(&link->mutex);
  if (!client)
    unref(link);
  else if (start(destroy, link))
    destroy(link);
}

/* ---- use ----------------------------------------------------------------------------------------------------------
 */

int braid_nats_link_fd(const struct braid_nats_link *link) { return link->poll; }

enum braid_nats_state braid_nats_link_state(const struct braid_nats_link *link) {
  enum braid_nats_state state = (enum braid_nats_state)atomic_load(&link->state);
  return state == BRAID_NATS_CONNECTED && !atomic_load(&link->polled) ? BRAID_NATS_LOST : state;
}

unsigned braid_nats_link_epoch(const struct braid_nats_link *link) { return atomic_load(&link->epoch); }

const char *braid_nats_link_reason(const struct braid_nats_link *link) {
  return braid_nats_link_state(link) == BRAID_NATS_CLOSED ? link->reason : "";
}

natsConnection *braid_nats_link_client(struct braid_nats_link *link) {
  return braid_nats_link_state(link) == BRAID_NATS_CONNECTED ? atomic_load(&link->client) : NULL;
}

/* When memory is out the message is lost: who waits for it asks again. */
static void hear(natsConnection *client, natsSubscription *subscription, natsMsg *message, void *context) {
  struct braid_nats_link *link = context;
  struct heard *heard = malloc(sizeof *heard);
  (void)client, (void)subscription;
  if (!heard) {
    natsMsg_Destroy(message);
    return;
  }
  *heard = (struct heard){NULL, message};
  pthread_mutex_lock(&link->mutex);
  *link->last = heard;
  link->last = &heard->next;
  pthread_mutex_unlock(&link->mutex);
  ring(link);
}

static void end_hearing(void *context) { unref(context); }

natsStatus braid_nats_link_hear(struct braid_nats_link *link, natsSubscription **subscription, const char *subject) {
  natsConnection *client = braid_nats_link_client(link);
  if (!client) return NATS_CONNECTION_CLOSED;
  natsStatus s = natsConnection_Subscribe(subscription, client, subject, hear, link);
  if (s != NATS_OK) return s;
  atomic_fetch_add(&link->refs, 1);
  s = natsSubscription_SetOnCompleteCB(*subscription, end_hearing, link);
  if (s != NATS_OK) unref(link);
  return s;
}

natsMsg *braid_nats_link_next_heard(struct braid_nats_link *link) {
  pthread_mutex_lock(&link->mutex);
  struct heard *heard = link->first;
  if (heard && !(link->first = heard->next)) link->last = &link->first;
  pthread_mutex_unlock(&link->mutex);
  natsMsg *message = heard ? heard->message : NULL;
  free(heard);
  return message;
}

void braid_nats_link_reset(struct braid_nats_link *link) {
  pthread_mutex_lock(&link->mutex);
  if (link->socket >= 0) shutdown(link->socket, SHUT_RDWR);
  pthread_mutex_unlock(&link->mutex);
}

/* When the connection is lost the client starts a thread: it must inherit a mask that blocks every signal. */
static void process(struct braid_nats_link *link, uint32_t events) {
  sigset_t all, before;
  natsConnection *client = braid_nats_link_client(link);
  if (!client) return;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) natsConnection_ProcessReadEvent(client);
  if ((events & EPOLLOUT) && braid_nats_link_client(link)) natsConnection_ProcessWriteEvent(client);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void braid_nats_link_turn(struct braid_nats_link *link) {
  struct epoll_event events[2];
  uint64_t rings;
  int count = epoll_wait(link->poll, events, 2, 0);
  for (int i = 0; i < count; i++) {
    if (events[i].data.u32 == 0) process(link, events[i].events);
    while (events[i].data.u32 == 1 && read(link->bell, &rings, sizeof rings) < 0 && errno == EINTR) continue;
    if (events[i].data.u32 == 1) close_left(link);
  }
}
