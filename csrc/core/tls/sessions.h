/* SPDX-License-Identifier: MIT
 * Sessions that a client may resume. They belong to a context, so a session never meets other rules of verification
 * than those under which it was made. Any thread; nothing blocks. */
#ifndef BRAID_TLS_SESSIONS_H
#define BRAID_TLS_SESSIONS_H

#include <openssl/ssl.h>
#include <pthread.h>

#include "core/base/list.h"

struct braid_tls_sessions {
  pthread_mutex_t mutex;
  struct braid_list entries; /* the newest first; guarded by the mutex */
  unsigned count;
};

void braid_tls_sessions_init(struct braid_tls_sessions *sessions);
void braid_tls_sessions_term(struct braid_tls_sessions *sessions);

/* Keeps a session for the place. It gets a reference of its own. */
void braid_tls_sessions_keep(struct braid_tls_sessions *sessions, const char *place, SSL_SESSION *session);

/* Takes out the newest session for the place that is still good. The caller's reference; NULL: there is none. */
SSL_SESSION *braid_tls_sessions_take(struct braid_tls_sessions *sessions, const char *place);

#endif
