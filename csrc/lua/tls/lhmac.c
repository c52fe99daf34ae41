/* SPDX-License-Identifier: MIT */
#include "lua/tls/lhmac.h"

#include <lauxlib.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

/* hmac_sha256(key, text) -> 32 bytes */
static int hmac_sha256(lua_State *L) {
  size_t key_size, size;
  const char *key = luaL_checklstring(L, 1, &key_size), *text = luaL_checklstring(L, 2, &size);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned digest_size = 0;
  luaL_argcheck(L, key_size <= INT_MAX, 1, "too long");
  if (!HMAC(EVP_sha256(), key, (int)key_size, (const unsigned char *)text, size, digest, &digest_size))
    return luaL_error(L, "OpenSSL cannot make an HMAC with SHA-256");
  lua_pushlstring(L, (const char *)digest, digest_size);
  return 1;
}

/* same(one, other) -> whether two texts are equal; the time it takes does not tell where they differ */
static int same(lua_State *L) {
  size_t one_size, other_size;
  const char *one = luaL_checklstring(L, 1, &one_size), *other = luaL_checklstring(L, 2, &other_size);
  lua_pushboolean(L, one_size == other_size && CRYPTO_memcmp(one, other, one_size) == 0);
  return 1;
}

/* random(size) -> bytes that nobody can guess */
static int random_bytes(lua_State *L) {
  enum { MOST = 1024 };
  unsigned char bytes[MOST];
  lua_Integer size = luaL_checkinteger(L, 1);
  luaL_argcheck(L, size > 0 && size <= MOST, 1, "1 to 1024 bytes");
  if (RAND_bytes(bytes, (int)size) != 1) return luaL_error(L, "OpenSSL has no random bytes");
  lua_pushlstring(L, (const char *)bytes, (size_t)size);
  return 1;
}

void lhmac_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"hmac_sha256", hmac_sha256}, {"same", same}, {"random", random_bytes}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
