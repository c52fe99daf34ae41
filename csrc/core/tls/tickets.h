/* SPDX-License-Identifier: MIT
 * The keys of a server's session tickets. They are made of a secret and of the time, so workers that have the same
 * secret have the same keys, and change them at the same moment. Any thread; nothing blocks. */
#ifndef BRAID_TLS_TICKETS_H
#define BRAID_TLS_TICKETS_H

#include <openssl/ssl.h>
#include <pthread.h>

#include "core/net/tls.h"

enum { BRAID_TLS_TICKET_NAME = 16, BRAID_TLS_TICKET_KEYS = 3 };

struct braid_tls_ticket_key {
  unsigned char name[BRAID_TLS_TICKET_NAME], cipher[32], mac[32];
};

struct braid_tls_tickets {
  unsigned char secret[BRAID_TLS_SECRET];
  pthread_mutex_t mutex;
  int64_t period;                                          /* to which the keys belong; guarded by the mutex */
  struct braid_tls_ticket_key keys[BRAID_TLS_TICKET_KEYS]; /* of this period, the one before, and the next one */
};

/* `secret` NULL: a random one. False when the system gives no random bytes. */
bool braid_tls_tickets_init(struct braid_tls_tickets *tickets, const unsigned char *secret);
void braid_tls_tickets_term(struct braid_tls_tickets *tickets);

/* The callback of OpenSSL: prepares to encrypt a ticket with the key of now, or to decrypt one. */
int braid_tls_tickets_prepare(struct braid_tls_tickets *tickets, unsigned char *name, unsigned char *iv,
                              EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool encrypt);

#endif
