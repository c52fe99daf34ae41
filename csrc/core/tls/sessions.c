/* SPDX-License-Identifier: MIT
 * A session of TLS 1.3 is for one connection: so each is taken out when it is used. That of TLS 1.2 is put back when
 * its connection stands. */
#include "core/tls/sessions.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 256, MOST_OF_PLACE = 8 }; /* sessions that are kept */

struct entry {
  struct braid_list link;
  SSL_SESSION *session;
  char place[];
};

void braid_tls_sessions_init(struct braid_tls_sessions *sessions) {
  pthread_mutex_init(&sessions->mutex, NULL);
  braid_list_init(&sessions->entries);
  sessions->count = 0;
}

static struct entry *entry_of(struct braid_list *link) { return braid_container(link, struct entry, link); }

static void drop(struct braid_tls_sessions *sessions, struct entry *entry) {
  braid_list_remove(&entry->link);
  sessions->count--;
  SSL_SESSION_free(entry->session);
  free(entry);
}

void braid_tls_sessions_term(struct braid_tls_sessions *sessions) {
  while (!braid_list_empty(&sessions->entries)) drop(sessions, entry_of(sessions->entries.next));
  pthread_mutex_destroy(&sessions->mutex);
}

/* The oldest of the place when it has too many, else the oldest of all when there are too many. */
static struct entry *surplus(struct braid_tls_sessions *sessions, const char *place) {
  struct entry *oldest = NULL;
  unsigned count = 0;
  for (struct braid_list *link = sessions->entries.next; link != &sessions->entries; link = link->next) {
    if (strcmp(entry_of(link)->place, place) != 0) continue;
    oldest = entry_of(link);
    count++;
  }
  if (count > MOST_OF_PLACE) return oldest;
  return sessions->count > MOST ? entry_of(sessions->entries.prev) : NULL;
}

void braid_tls_sessions_keep(struct braid_tls_sessions *sessions, const char *place, SSL_SESSION *session) {
  size_t size = strlen(place) + 1;
  struct entry *entry = malloc(sizeof *entry + size);
  if (!entry) return;
  SSL_SESSION_up_ref(session);
  entry->session = session;
  memcpy(entry->place, place, size);
  pthread_mutex_lock(&sessions->mutex);
  braid_list_push(sessions->entries.next, &entry->link);
  sessions->count++;
  struct entry *old = surplus(sessions, place);
  if (old) drop(sessions, old);
  pthread_mutex_unlock(&sessions->mutex);
}

static time_t begin_of(const SSL_SESSION *session) {
#if OPENSSL_VERSION_NUMBER >= 0x30300000L
  return SSL_SESSION_get_time_ex(session);
#else
  return SSL_SESSION_get_time(session);
#endif
}

/* The certificate may have ended since: a resumed handshake does not look at it. */
static bool is_good(const SSL_SESSION *session) {
  X509 *peer = SSL_SESSION_get0_peer((SSL_SESSION *)session);
  if (!SSL_SESSION_is_resumable(session)) return false;
  if (time(NULL) >= begin_of(session) + SSL_SESSION_get_timeout(session)) return false;
  return !peer || X509_cmp_current_time(X509_get0_notAfter(peer)) > 0;
}

SSL_SESSION *braid_tls_sessions_take(struct braid_tls_sessions *sessions, const char *place) {
  SSL_SESSION *found = NULL;
  pthread_mutex_lock(&sessions->mutex);
  struct braid_list *link = sessions->entries.next, *next;
  for (; link != &sessions->entries && !found; link = next) {
    struct entry *entry = entry_of(link);
    next = link->next;
    if (strcmp(entry->place, place) != 0) continue;
    if (is_good(entry->session) && SSL_SESSION_up_ref(entry->session)) found = entry->session;
    drop(sessions, entry);
  }
  pthread_mutex_unlock(&sessions->mutex);
  return found;
}
