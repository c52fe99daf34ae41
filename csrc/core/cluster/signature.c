/* SPDX-License-Identifier: MIT
 * RFC 2104. */
#include "core/cluster/signature.h"

#include <openssl/crypto.h>
#include <string.h>

enum { BLOCK = 64 };

/* A digest of the key's block, each byte changed by `pad`. */
static EVP_MD_CTX *begin(const unsigned char block[BLOCK], unsigned char pad) {
  unsigned char changed[BLOCK];
  EVP_MD_CTX *digest = EVP_MD_CTX_new();
  for (int i = 0; i < BLOCK; i++) changed[i] = block[i] ^ pad;
  bool ok = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) && EVP_DigestUpdate(digest, changed, BLOCK);
  OPENSSL_cleanse(changed, sizeof changed);
  if (ok) return digest;
  EVP_MD_CTX_free(digest);
  return NULL;
}

bool braid_signature_init(struct braid_signature *signature, const void *key, size_t size) {
  unsigned char block[BLOCK] = {0};
  bool ok = true;
  *signature = (struct braid_signature){0};
  if (size > BLOCK)
    ok = EVP_Digest(key, size, block, NULL, EVP_sha256(), NULL);
  else
    memcpy(block, key, size);
  if (ok) {
    signature->inner = begin(block, 0x36);
    signature->outer = begin(block, 0x5C);
    signature->work = EVP_MD_CTX_new();
  }
  OPENSSL_cleanse(block, sizeof block);
  return ok && signature->inner && signature->outer && signature->work;
}

void braid_signature_term(struct braid_signature *signature) {
  EVP_MD_CTX_free(signature->inner);
  EVP_MD_CTX_free(signature->outer);
  EVP_MD_CTX_free(signature->work);
  *signature = (struct braid_signature){0};
}

bool braid_signature_make(struct braid_signature *signature, const void *bytes, size_t size,
                          unsigned char result[BRAID_SIGNATURE_SIZE]) {
  unsigned char first[BRAID_SIGNATURE_SIZE];
  EVP_MD_CTX *work = signature->work;
  return EVP_MD_CTX_copy_ex(work, signature->inner) && EVP_DigestUpdate(work, bytes, size) &&
         EVP_DigestFinal_ex(work, first, NULL) && EVP_MD_CTX_copy_ex(work, signature->outer) &&
         EVP_DigestUpdate(work, first, sizeof first) && EVP_DigestFinal_ex(work, result, NULL);
}
