/* SPDX-License-Identifier: MIT
 * A key is HMAC-SHA512 of the period's number, by the secret. A ticket is good for the rest of its period and the whole
 * next one; the key of the next period is known, too, for workers whose clock is ahead. */
#include "core/tls/tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

enum { PERIOD = 6 * 3600 }; /* seconds */

bool braid_tls_tickets_init(struct braid_tls_tickets *tickets, const unsigned char *secret) {
  pthread_mutex_init(&tickets->mutex, NULL);
  tickets->period = -1;
  if (secret) memcpy(tickets->secret, secret, BRAID_TLS_SECRET);
  return secret || RAND_bytes(tickets->secret, BRAID_TLS_SECRET) == 1;
}

void braid_tls_tickets_term(struct braid_tls_tickets *tickets) {
  pthread_mutex_destroy(&tickets->mutex);
  OPENSSL_cleanse(tickets->secret, sizeof tickets->secret);
  OPENSSL_cleanse(tickets->keys, sizeof tickets->keys);
}

static bool derive(const struct braid_tls_tickets *tickets, int64_t period, unsigned char part, unsigned char out[64]) {
  unsigned char text[] = "braid ticket 0 00000000";
  unsigned size = 64;
  text[13] = part;
  memcpy(text + sizeof text - 1 - sizeof period, &period, sizeof period);
  return HMAC(EVP_sha512(), tickets->secret, BRAID_TLS_SECRET, text, sizeof text - 1, out, &size) != NULL;
}

static bool make_key(const struct braid_tls_tickets *tickets, int64_t period, struct braid_tls_ticket_key *key) {
  unsigned char first[64], second[64];
  bool made = derive(tickets, period, 0, first) && derive(tickets, period, 1, second);
  memcpy(key->cipher, first, sizeof key->cipher);
  memcpy(key->mac, first + sizeof key->cipher, sizeof key->mac);
  memcpy(key->name, second, sizeof key->name);
  OPENSSL_cleanse(first, sizeof first);
  return made;
}

/* Copies the keys of now. */
static bool current_keys(struct braid_tls_tickets *tickets, struct braid_tls_ticket_key keys[BRAID_TLS_TICKET_KEYS]) {
  int64_t period = (int64_t)time(NULL) / PERIOD;
  bool made = true;
  pthread_mutex_lock(&tickets->mutex);
  if (tickets->period != period) {
    made = make_key(tickets, period, &tickets->keys[0]) && make_key(tickets, period - 1, &tickets->keys[1]) &&
           make_key(tickets, period + 1, &tickets->keys[2]);
    tickets->period = made ? period : -1;
  }
  memcpy(keys, tickets->keys, sizeof tickets->keys);
  pthread_mutex_unlock(&tickets->mutex);
  return made;
}

static bool set_mac(EVP_MAC_CTX *mac, struct braid_tls_ticket_key *key) {
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
                             OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                             OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

static int prepare_new(struct braid_tls_ticket_key *key, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                       EVP_MAC_CTX *mac) {
  memcpy(name, key->name, sizeof key->name);
  if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
  bool ready = EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv) == 1 && set_mac(mac, key);
  return ready ? 1 : -1;
}

/* 0: the ticket is of no known key. 2: it is good, and a new one should be given out. */
static int prepare_known(struct braid_tls_ticket_key *keys, const unsigned char *name, const unsigned char *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac) {
  for (int i = 0; i < BRAID_TLS_TICKET_KEYS; i++) {
    if (memcmp(name, keys[i].name, sizeof keys[i].name) != 0) continue;
    if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, keys[i].cipher, iv) != 1) return -1;
    if (!set_mac(mac, &keys[i])) return -1;
    return i == 0 ? 1 : 2;
  }
  return 0;
}

int braid_tls_tickets_prepare(struct braid_tls_tickets *tickets, unsigned char *name, unsigned char *iv,
                              EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool encrypt) {
  struct braid_tls_ticket_key keys[BRAID_TLS_TICKET_KEYS];
  if (!current_keys(tickets, keys)) return -1;
  int result = encrypt ? prepare_new(&keys[0], name, iv, cipher, mac) : prepare_known(keys, name, iv, cipher, mac);
  OPENSSL_cleanse(keys, sizeof keys);
  return result;
}
