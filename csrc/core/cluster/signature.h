/* SPDX-License-Identifier: MIT
 * HMAC-SHA256 with one key, by the system's libcrypto: the key is prepared once. One thread at a time; nothing blocks.
 */
#ifndef BRAID_SIGNATURE_H
#define BRAID_SIGNATURE_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

enum { BRAID_SIGNATURE_SIZE = 32 };

struct braid_signature {
  EVP_MD_CTX *inner, *outer; /* after the key's block */
  EVP_MD_CTX *work;
};

/* False: memory is out. `term` is due in any case. */
bool braid_signature_init(struct braid_signature *signature, const void *key, size_t size);
void braid_signature_term(struct braid_signature *signature);

/* Signs the bytes. False: memory is out. */
bool braid_signature_make(struct braid_signature *signature, const void *bytes, size_t size,
                          unsigned char result[BRAID_SIGNATURE_SIZE]);

#endif
