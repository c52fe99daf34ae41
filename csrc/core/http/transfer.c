/* SPDX-License-Identifier: MIT
 * libcurl's multi-socket interface on a loop.
 *
 * Ownership: a session owns its transfers from start to release. It keeps some released ones, with their easy handles
 * and buffers, for later requests.
 *
 * Invariant: transfers are added to the multi handle, removed from it and ended only in admit(), in drain(), and in
 * functions that the loop's owner calls; never in one of libcurl's callbacks. Callbacks only change buffers and flags,
 * and end waits. */
#include "core/http/transfer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/http/broken_pipe.h"
#include "core/http/handle.h"
#include "core/http/lookup.h"
#include "core/net/socket.h"

enum {
  MOST_IDLE = 1024,          /* released transfers that are kept */
  MOST_CONNECTIONS = 1 << 20 /* kept open by default: as many as were used at the same time */
};

struct socket_watch {
  struct braid_watch watch;
  struct braid_http_session *session;
};

/* ---- end of a transfer, and look-ups -------------------------------------------------------------------------- */

static void finish(struct braid_transfer *transfer, CURLcode code);

/* The transfer has ended without an address. If the name does not exist, the held transfers fail, too; else the next
 * one looks it up. */
static void abandon_lookup(struct braid_transfer *transfer) {
  struct braid_lookup *lookup = transfer->lookup;
  if (!lookup) return;
  transfer->lookup = NULL;
  struct braid_list *link;
  while ((link = braid_lookup_pop(lookup))) {
    struct braid_transfer *next = braid_container(link, struct braid_transfer, turn);
    if (transfer->code != CURLE_COULDNT_RESOLVE_HOST) {
      next->lookup = lookup;
      braid_list_push(&transfer->session->admitted, &next->turn);
      return;
    }
    memcpy(next->text, transfer->text, sizeof next->text);
    finish(next, transfer->code);
  }
  braid_lookup_end(lookup);
}

/* Removes the transfer from libcurl. */
static void withdraw(struct braid_transfer *transfer) {
  struct braid_http_session *session = transfer->session;
  braid_list_remove(&transfer->turn);
  braid_broken_pipe_ignore();
  if (transfer->added) curl_multi_remove_handle(session->multi, transfer->easy);
  braid_broken_pipe_heed();
  braid_alarm_stop(session->loop, &transfer->alarm);
  transfer->added = false;
  if (transfer->bound) session->bound--;
  transfer->bound = false;
}

static void explain(struct braid_transfer *transfer, CURLcode code, const char *text) {
  transfer->code = code;
  snprintf(transfer->text, sizeof transfer->text, "%s", text);
}

static void settle(struct braid_transfer *transfer) {
  struct braid_response *response = &transfer->response;
  if (transfer->code == CURLE_WRITE_ERROR && braid_response_left(response)) transfer->code = CURLE_OK;
  if (transfer->code == CURLE_OK && !response->headed) /* libcurl takes the connection's end for that of the head */
    explain(transfer, CURLE_PARTIAL_FILE, "the connection was closed within the head of the answer");
  if (transfer->code == CURLE_OK) braid_response_close(response);
  if (transfer->code == CURLE_OUT_OF_MEMORY && response->head.size > 0 && !response->headed) /* so libcurl says it */
    explain(transfer, CURLE_RECV_ERROR, "a header of the answer is too long");
  if (response->fault) explain(transfer, CURLE_WEIRD_SERVER_REPLY, response->fault);
  if (response->problem) explain(transfer, CURLE_BAD_CONTENT_ENCODING, response->problem);
  if (response->oversize) transfer->code = CURLE_FILESIZE_EXCEEDED;
}

static void finish(struct braid_transfer *transfer, CURLcode code) {
  long connects = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connects);
  if (transfer->patience.connected && connects == 0) transfer->session->reused++;
  withdraw(transfer);
  transfer->done = true;
  transfer->code = code;
  if (transfer->starved) braid_socket_explain(EMFILE, transfer->text, sizeof transfer->text);
  if (transfer->repeated && code == CURLE_ABORTED_BY_CALLBACK)
    explain(transfer, CURLE_GOT_NOTHING,
            "the connection was closed before the answer began; whether the request was carried out is not known");
  settle(transfer);
  abandon_lookup(transfer);
  braid_transfer_tell(transfer, BRAID_OK);
  braid_transfer_tell_giver(transfer, BRAID_OK);
}

/* Gives all admitted transfers to libcurl. */
static void admit(struct braid_http_session *session) {
  struct braid_list *link;
  while ((link = braid_list_pop(&session->admitted))) {
    struct braid_transfer *transfer = braid_container(link, struct braid_transfer, turn);
    transfer->added = transfer->tried = true;
    if (curl_multi_add_handle(session->multi, transfer->easy) == CURLM_OK) continue;
    transfer->added = false;
    finish(transfer, CURLE_OUT_OF_MEMORY);
  }
}

/* Ends the transfers that libcurl has finished, and admits others. To be called after each call that lets libcurl
 * work. */
static void drain(struct braid_http_session *session) {
  CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(session->multi, &left))) { /* CURLMSG_DONE is the only kind */
    CURLcode code = message->data.result;
    char *transfer = NULL;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    finish((struct braid_transfer *)(void *)transfer, code);
  }
  admit(session);
}

/* ---- callbacks of the loop ------------------------------------------------------------------------------------ */

static void act(struct braid_http_session *session, curl_socket_t fd, int events) {
  int running;
  braid_broken_pipe_ignore();
  curl_multi_socket_action(session->multi, fd, events, &running);
  braid_broken_pipe_heed();
  drain(session);
}

static void on_events(struct braid_watch *watch, int events) {
  int bits = (events & BRAID_READ ? CURL_CSELECT_IN : 0) | (events & BRAID_WRITE ? CURL_CSELECT_OUT : 0);
  act(braid_container(watch, struct socket_watch, watch)->session, watch->fd, bits);
}

static void on_deadline(struct braid_alarm *alarm) {
  act(braid_container(alarm, struct braid_http_session, alarm), CURL_SOCKET_TIMEOUT, 0);
}

/* The server has closed the connection, and libcurl does not see it: it has nothing to send, because the request's body
 * is not there yet, and nothing more to read. */
static bool is_forsaken(const struct braid_transfer *transfer) {
  struct pollfd socket = {.fd = transfer->unwatched, .events = POLLRDHUP};
  return transfer->unwatched >= 0 && !transfer->paused && poll(&socket, 1, 0) > 0;
}

/* When to look at the transfer again. */
static int64_t next_look(const struct braid_transfer *transfer, int64_t now) {
  int64_t next =
      braid_patience_limited(&transfer->patience) ? braid_patience_next(&transfer->patience, now) : BRAID_NEVER;
  int64_t soon = transfer->unwatched >= 0 ? now + BRAID_SECOND : BRAID_NEVER;
  return next < soon ? next : soon;
}

/* Looks whether the transfer has waited too long, or in vain. */
static void on_alarm(struct braid_alarm *alarm) {
  struct braid_transfer *transfer = braid_container(alarm, struct braid_transfer, alarm);
  struct braid_http_session *session = transfer->session;
  int64_t now = braid_time_now(), limit;
  if (is_forsaken(transfer)) { /* without more of the body libcurl comes to its end, and says what is wrong */
    transfer->unwatched = -1;
    braid_transfer_give(transfer, NULL, 0);
  }
  transfer->patience.paused = transfer->paused || (transfer->upload.starved && transfer->patience.sending);
  const char *what = braid_patience_spent(&transfer->patience, now, &limit);
  if (!what && braid_alarm_start(session->loop, alarm, next_look(transfer, now))) return;
  if (what) snprintf(transfer->text, sizeof transfer->text, "%s for %g s", what, (double)limit / (double)BRAID_SECOND);
  finish(transfer, what ? CURLE_OPERATION_TIMEDOUT : CURLE_OUT_OF_MEMORY);
  admit(session);
}

/* ---- callbacks of libcurl ------------------------------------------------------------------------------------- */

/* Sets the alarm. Even "at once" waits for the loop's next turn: a transfer with constant data asks for it again and
 * again, and must not block other work. */
static int on_timer(CURLM *multi, long milliseconds, void *context) {
  (void)multi;
  struct braid_http_session *session = context;
  int64_t deadline = BRAID_NEVER;
  if (milliseconds >= 0) deadline = braid_time_now() + 1 + milliseconds * (BRAID_SECOND / 1000);
  return braid_alarm_start(session->loop, &session->alarm, deadline) ? 0 : -1;
}

static struct braid_watch *take_watch(struct braid_http_session *session) {
  struct braid_watch *watch = session->spare;
  if (watch) {
    session->spare = watch->next;
    return watch;
  }
  struct socket_watch *fresh = malloc(sizeof *fresh);
  if (!fresh) return NULL;
  *fresh = (struct socket_watch){.watch.fire = on_events, .session = session};
  return &fresh->watch;
}

static void give_watch(struct braid_http_session *session, struct braid_watch *watch) {
  watch->next = session->spare;
  session->spare = watch;
}

/* libcurl stops or starts to watch the transfer's socket. */
static void on_attention(struct braid_transfer *transfer, curl_socket_t fd, bool watched) {
  bool alone = !watched && transfer->upload.starved;
  transfer->unwatched = alone ? fd : -1;
  if (alone) braid_alarm_start(transfer->session->loop, &transfer->alarm, braid_time_now());
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known) {
  struct braid_http_session *session = context;
  struct braid_watch *watch = known;
  char *transfer = NULL;
  if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer) == CURLE_OK && transfer)
    on_attention((struct braid_transfer *)(void *)transfer, fd, what != CURL_POLL_REMOVE);
  if (what == CURL_POLL_REMOVE) {
    if (!watch) return 0;
    braid_watch_stop(session->loop, watch);
    give_watch(session, watch);
    return 0;
  }
  int events = (what & CURL_POLL_IN ? BRAID_READ : 0) | (what & CURL_POLL_OUT ? BRAID_WRITE : 0);
  if (watch) return braid_watch_change(session->loop, watch, events) ? -1 : 0;
  watch = take_watch(session);
  if (!watch) return -1;
  if (braid_watch_start(session->loop, watch, fd, events)) {
    give_watch(session, watch);
    return -1;
  }
  curl_multi_assign(session->multi, fd, watch);
  return 0;
}

/* ---- look-ups ------------------------------------------------------------------------------------------------- */

/* Admits the transfer, or holds it while another one looks the same name up. */
static void line_up(struct braid_transfer *transfer, const struct braid_request *request) {
  struct braid_http_session *session = transfer->session;
  bool joins = LIBCURL_VERSION_NUM >= 0x075000 && !session->limited; /* a limit makes look-ups wait in libcurl */
  size_t size = joins ? braid_request_lookup(request) : 0;
  if (size > 0)
    transfer->lookup = braid_lookup_join(&session->lookups, request->url, size, &transfer->turn, &session->admitted);
  else
    braid_list_push(&session->admitted, &transfer->turn);
}

/* ---- transfers ------------------------------------------------------------------------------------------------ */

static void destroy(struct braid_transfer *transfer) {
  braid_list_remove(&transfer->link);
  braid_handle_close(transfer);
  braid_response_term(&transfer->response);
  braid_upload_term(&transfer->upload);
  free(transfer);
}

static struct braid_transfer *new_transfer(struct braid_http_session *session) {
  struct braid_transfer *transfer = calloc(1, sizeof *transfer);
  if (!transfer) return NULL;
  transfer->session = session;
  transfer->alarm.fire = on_alarm;
  if (!braid_handle_open(transfer)) {
    free(transfer);
    return NULL;
  }
  braid_list_init(&transfer->link);
  braid_list_init(&transfer->turn);
  return transfer;
}

static struct braid_transfer *take_transfer(struct braid_http_session *session) {
  struct braid_list *link = session->idle.prev; /* the last one used, because its memory is in the cache */
  if (link == &session->idle) return new_transfer(session);
  braid_list_remove(link);
  session->idle_count--;
  return braid_container(link, struct braid_transfer, link);
}

struct braid_transfer *braid_http_session_start(struct braid_http_session *session,
                                                const struct braid_request *request) {
  struct braid_transfer *transfer = take_transfer(session);
  if (!transfer) return NULL;
  braid_list_push(&session->running, &transfer->link);
  session->requests++;
  transfer->code = braid_handle_configure(transfer, request);
  if (transfer->code == CURLE_OK && braid_patience_limited(&transfer->patience) &&
      !braid_alarm_start(session->loop, &transfer->alarm, next_look(transfer, transfer->patience.moved)))
    transfer->code = CURLE_OUT_OF_MEMORY;
  if (transfer->code != CURLE_OK) {
    transfer->done = true;
    return transfer;
  }
  line_up(transfer, request);
  admit(session);
  return transfer;
}

void braid_transfer_taken(struct braid_transfer *transfer) {
  struct braid_response *response = &transfer->response;
  bool fine = braid_response_taken(response);
  if (transfer->done && transfer->code == CURLE_OK) {
    settle(transfer);
  } else if (!fine && !transfer->done) {
    finish(transfer, CURLE_WRITE_ERROR);
    admit(transfer->session);
  } else if (transfer->paused && !braid_response_crowded(response, 0)) {
    transfer->paused = false;
    braid_handle_pause(transfer);
  }
}

bool braid_transfer_give(struct braid_transfer *transfer, const char *data, size_t size) {
  struct braid_upload *upload = &transfer->upload;
  if (transfer->done) return true;
  if (data && !braid_upload_give(upload, data, size)) return false;
  upload->ended = !data;
  if (!upload->starved || (data && size == 0)) return true;
  upload->starved = false;
  braid_handle_pause(transfer);
  return true;
}

static long http_version(const struct braid_transfer *transfer) {
  long version = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version);
  if (version == CURL_HTTP_VERSION_1_0) return 10;
  if (version == CURL_HTTP_VERSION_1_1) return 11;
  return version == CURL_HTTP_VERSION_2_0 ? 20 : 30;
}

struct braid_transfer_facts braid_transfer_facts(const struct braid_transfer *transfer) {
  static const CURLINFO clocks[BRAID_TRANSFER_TIMES] = {
      [BRAID_TRANSFER_NAME] = CURLINFO_NAMELOOKUP_TIME_T, [BRAID_TRANSFER_CONNECT] = CURLINFO_CONNECT_TIME_T,
      [BRAID_TRANSFER_TLS] = CURLINFO_APPCONNECT_TIME_T,  [BRAID_TRANSFER_BEGIN] = CURLINFO_STARTTRANSFER_TIME_T,
      [BRAID_TRANSFER_END] = CURLINFO_TOTAL_TIME_T,
  };
  struct braid_transfer_facts facts = {.http_version = http_version(transfer)};
  for (int i = 0; i < BRAID_TRANSFER_TIMES; i++) {
    curl_off_t microseconds = 0;
    curl_easy_getinfo(transfer->easy, clocks[i], &microseconds);
    facts.times[i] = (double)microseconds / 1e6;
  }
  long asked = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &asked);
  facts.asked = transfer->tried && asked > 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &facts.status);
  curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_CONNECTCODE, &facts.refusal);
  curl_easy_getinfo(transfer->easy, CURLINFO_PRIMARY_IP, &facts.address);
  curl_easy_getinfo(transfer->easy, CURLINFO_PRIMARY_PORT, &facts.port);
  return facts;
}

static bool write_cookies(const struct braid_transfer *transfer, struct braid_buffer *text) {
  struct curl_slist *lines = NULL;
  curl_easy_getinfo(transfer->easy, CURLINFO_COOKIELIST, &lines);
  bool written = true;
  for (const struct curl_slist *line = lines; line && written; line = line->next)
    written = braid_buffer_append(text, line->data, strlen(line->data)) && braid_buffer_append(text, "\n", 1);
  curl_slist_free_all(lines);
  return written;
}

struct braid_transfer *braid_http_session_cookies(struct braid_http_session *session, bool forget) {
  struct braid_transfer *transfer = take_transfer(session);
  if (!transfer) return NULL;
  braid_list_push(&session->running, &transfer->link);
  braid_response_reset(&transfer->response);
  transfer->done = true;
  if (write_cookies(transfer, &transfer->response.body)) {
    if (forget) curl_easy_setopt(transfer->easy, CURLOPT_COOKIELIST, "ALL");
    return transfer;
  }
  braid_transfer_release(transfer);
  return NULL;
}

void braid_transfer_release(struct braid_transfer *transfer) {
  struct braid_http_session *session = transfer->session;
  transfer->waiter = NULL;
  braid_transfer_tell_giver(transfer, BRAID_CLOSED);
  withdraw(transfer);
  abandon_lookup(transfer);
  braid_response_shrink(&transfer->response);
  braid_upload_shrink(&transfer->upload);
  if (session->idle_count < MOST_IDLE) {
    braid_list_remove(&transfer->link);
    braid_list_push(&session->idle, &transfer->link);
    session->idle_count++;
  } else {
    destroy(transfer);
  }
  admit(session);
}

/* ---- sessions ------------------------------------------------------------------------------------------------- */

static void prepare(void) {
  braid_thread_pin();
  braid_broken_pipe_prepare();
}

static void set_multi(struct braid_http_session *session, long per_host, long total) {
  CURLM *multi = session->multi;
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, session);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, session);
  curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, per_host);
  curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, total);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, total > 0 ? total : (long)MOST_CONNECTIONS);
  curl_share_setopt(session->shared, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  if (session->cookies) curl_share_setopt(session->shared, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE);
}

bool braid_http_session_open(struct braid_http_session *session, struct braid_loop *loop, bool cookies, long per_host,
                             long total) {
  memset(session, 0, sizeof *session);
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (braid_curl_load()) return false;
  pthread_once(&once, prepare);
  session->multi = curl_multi_init();
  session->shared = curl_share_init();
  if (!session->multi || !session->shared) {
    curl_multi_cleanup(session->multi);
    curl_share_cleanup(session->shared);
    return false;
  }
  session->loop = loop;
  session->alarm.fire = on_deadline;
  session->cookies = cookies;
  session->limited = per_host > 0 || total > 0;
  braid_list_init(&session->running);
  braid_list_init(&session->admitted);
  braid_list_init(&session->lookups);
  braid_list_init(&session->idle);
  set_multi(session, per_host, total);
  return true;
}

static void destroy_all(struct braid_list *list) {
  while (!braid_list_empty(list)) destroy(braid_container(list->next, struct braid_transfer, link));
}

void braid_http_session_close(struct braid_http_session *session) {
  if (!session->loop) return;
  for (struct braid_list *link = session->running.next; link != &session->running; link = link->next) {
    struct braid_transfer *transfer = braid_container(link, struct braid_transfer, link);
    withdraw(transfer);
    braid_transfer_tell(transfer, BRAID_CLOSED);
    braid_transfer_tell_giver(transfer, BRAID_CLOSED);
  }
  braid_lookup_end_all(&session->lookups);
  destroy_all(&session->running);
  destroy_all(&session->idle);
  braid_broken_pipe_ignore();
  curl_multi_cleanup(session->multi);
  braid_broken_pipe_heed();
  curl_share_cleanup(session->shared);
  braid_alarm_stop(session->loop, &session->alarm);
  while (session->spare) {
    struct braid_watch *watch = session->spare;
    session->spare = watch->next;
    free(braid_container(watch, struct socket_watch, watch));
  }
  session->loop = NULL;
}
