/* SPDX-License-Identifier: MIT
 * A certificate is a userdata with the methods that LuaSec 1.2 documents. */
#include "lua/tls/lx509.h"

#include <arpa/inet.h>
#include <lauxlib.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>

#include "lua/tls/ltlsopen.h"

#define METATABLE "SSL:Certificate"

enum { TEXT = 128 }; /* bytes of an object's name */

struct certificate {
  X509 *x509;
  bool utf8; /* texts are given as UTF-8; else as they are */
};

static struct certificate *at(lua_State *L, int index) {
  struct certificate *certificate = luaL_checkudata(L, index, METATABLE);
  if (!certificate->x509) luaL_argerror(L, index, "it is closed");
  return certificate;
}

static struct certificate *self(lua_State *L) { return at(L, 1); }

void lx509_push(lua_State *L, X509 *x509) {
  if (!x509) {
    lua_pushnil(L);
    return;
  }
  struct certificate *certificate = lua_newuserdatauv(L, sizeof *certificate, 0);
  *certificate = (struct certificate){0};
  luaL_setmetatable(L, METATABLE);
  X509_up_ref(x509);
  certificate->x509 = x509;
}

static int certificate_free(lua_State *L) {
  struct certificate *certificate = luaL_checkudata(L, 1, METATABLE);
  X509_free(certificate->x509);
  certificate->x509 = NULL;
  return 0;
}

static int certificate_text(lua_State *L) {
  const struct certificate *certificate = luaL_checkudata(L, 1, METATABLE);
  lua_pushfstring(L, "X509 certificate: %p", (void *)certificate->x509);
  return 1;
}

/* Pushes what was written to the memory BIO, and frees it. */
static int push_bio(lua_State *L, BIO *bio) {
  char *data = NULL;
  long size = bio ? BIO_get_mem_data(bio, &data) : 0;
  lua_pushlstring(L, size > 0 ? data : "", size > 0 ? (size_t)size : 0);
  BIO_free(bio);
  return 1;
}

/* ---- names and extensions ------------------------------------------------------------------------------------- */

static void push_string(lua_State *L, const ASN1_STRING *string, bool utf8) {
  unsigned char *text = NULL;
  int size = utf8 ? ASN1_STRING_to_UTF8(&text, string) : -1;
  if (size >= 0)
    lua_pushlstring(L, (const char *)text, (size_t)size);
  else
    lua_pushlstring(L, (const char *)ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
  OPENSSL_free(text);
}

static void set_object(lua_State *L, const ASN1_OBJECT *object) {
  char text[TEXT];
  OBJ_obj2txt(text, sizeof text, object, 1);
  lua_pushstring(L, text);
  lua_setfield(L, -2, "oid");
  OBJ_obj2txt(text, sizeof text, object, 0);
  lua_pushstring(L, text);
  lua_setfield(L, -2, "name");
}

/* A list of { oid, name, value }. */
static int push_name(lua_State *L, const X509_NAME *name, bool utf8) {
  int count = X509_NAME_entry_count(name);
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
    lua_createtable(L, 0, 3);
    set_object(L, X509_NAME_ENTRY_get_object(entry));
    push_string(L, X509_NAME_ENTRY_get_data(entry), utf8);
    lua_setfield(L, -2, "value");
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int certificate_subject(lua_State *L) {
  const struct certificate *certificate = self(L);
  return push_name(L, X509_get_subject_name(certificate->x509), certificate->utf8);
}

static int certificate_issuer(lua_State *L) {
  const struct certificate *certificate = self(L);
  return push_name(L, X509_get_issuer_name(certificate->x509), certificate->utf8);
}

/* Appends the string on the top of the stack to the list `field` of the table below it. */
static void append(lua_State *L, const char *field) {
  luaL_getsubtable(L, -2, field);
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
}

/* Appends one of the names to its list in the table on the top of the stack. */
static void append_name(lua_State *L, const GENERAL_NAME *name, bool utf8) {
  static const char *const fields[] = {
      [GEN_EMAIL] = "rfc822Name", [GEN_DNS] = "dNSName", [GEN_URI] = "uniformResourceIdentifier"};
  char text[INET6_ADDRSTRLEN];
  int type;
  const void *value = GENERAL_NAME_get0_value(name, &type);
  if (type == GEN_EMAIL || type == GEN_DNS || type == GEN_URI) {
    push_string(L, value, utf8);
    append(L, fields[type]);
  } else if (type == GEN_IPADD) {
    int size = ASN1_STRING_length(value);
    const unsigned char *data = ASN1_STRING_get0_data(value);
    bool known = (size == 4 || size == 16) && inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text, sizeof text);
    lua_pushstring(L, known ? text : "");
    append(L, "iPAddress");
  }
}

/* As in LuaSec: those that name alternative names, by their numbers. */
static int certificate_extensions(lua_State *L) {
  const struct certificate *certificate = self(L);
  lua_newtable(L);
  for (int i = -1; (i = X509_get_ext_by_NID(certificate->x509, NID_subject_alt_name, i)) != -1;) {
    X509_EXTENSION *extension = X509_get_ext(certificate->x509, i);
    GENERAL_NAMES *names = X509V3_EXT_d2i(extension);
    char text[TEXT];
    OBJ_obj2txt(text, sizeof text, X509_EXTENSION_get_object(extension), 1);
    luaL_getsubtable(L, -1, text);
    set_object(L, X509_EXTENSION_get_object(extension));
    lua_pushnil(L);
    lua_setfield(L, -2, "oid"); /* the key of the table is the number */
    for (int k = 0; names && k < sk_GENERAL_NAME_num(names); k++)
      append_name(L, sk_GENERAL_NAME_value(names, k), certificate->utf8);
    GENERAL_NAMES_free(names);
    lua_pop(L, 1);
  }
  return 1;
}

static int certificate_setencode(lua_State *L) {
  struct certificate *certificate = self(L);
  const char *name = luaL_checkstring(L, 2);
  bool utf8 = strcmp(name, "utf8") == 0, known = utf8 || strcmp(name, "ai5") == 0;
  if (known) certificate->utf8 = utf8;
  lua_pushboolean(L, known);
  return 1;
}

/* ---- numbers, times, keys ------------------------------------------------------------------------------------- */

static int certificate_serial(lua_State *L) {
  BIGNUM *number = ASN1_INTEGER_to_BN(X509_get_serialNumber(self(L)->x509), NULL);
  char *text = number ? BN_bn2hex(number) : NULL;
  lua_pushstring(L, text);
  OPENSSL_free(text);
  BN_free(number);
  return 1;
}

static int push_time(lua_State *L, const ASN1_TIME *time) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (bio) ASN1_TIME_print(bio, time);
  return push_bio(L, bio);
}

static int certificate_notbefore(lua_State *L) { return push_time(L, X509_get0_notBefore(self(L)->x509)); }

static int certificate_notafter(lua_State *L) { return push_time(L, X509_get0_notAfter(self(L)->x509)); }

static int certificate_validat(lua_State *L) {
  X509 *x509 = self(L)->x509;
  time_t time = (time_t)luaL_checknumber(L, 2);
  lua_pushboolean(L, X509_cmp_time(X509_get0_notAfter(x509), &time) >= 0 &&
                         X509_cmp_time(X509_get0_notBefore(x509), &time) <= 0);
  return 1;
}

static int certificate_digest(lua_State *L) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size;
  const char *name = luaL_optstring(L, 2, "sha1");
  const EVP_MD *method = EVP_get_digestbyname(name);
  if (!method || !X509_digest(self(L)->x509, method, digest, &size)) {
    lua_pushnil(L);
    lua_pushfstring(L, method ? "out of memory" : "digest algorithm not supported (%s)", name);
    return 2;
  }
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (unsigned i = 0; i < size; i++) {
    luaL_addchar(&text, "0123456789abcdef"[digest[i] >> 4]);
    luaL_addchar(&text, "0123456789abcdef"[digest[i] & 15]);
  }
  luaL_pushresult(&text);
  return 1;
}

static int certificate_pem(lua_State *L) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (bio) PEM_write_bio_X509(bio, self(L)->x509);
  return push_bio(L, bio);
}

static const char *kind_of(const EVP_PKEY *key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA: return "RSA";
    case EVP_PKEY_DSA: return "DSA";
    case EVP_PKEY_DH: return "DH";
    case EVP_PKEY_EC: return "EC";
    default: return "Unknown";
  }
}

/* The key as PEM, its kind and its bits. */
static int certificate_pubkey(lua_State *L) {
  EVP_PKEY *key = X509_get_pubkey(self(L)->x509);
  BIO *bio = BIO_new(BIO_s_mem());
  const char *kind = key ? kind_of(key) : "Unknown";
  int bits = key ? EVP_PKEY_get_bits(key) : 0;
  if (key && bio) PEM_write_bio_PUBKEY(bio, key);
  EVP_PKEY_free(key);
  push_bio(L, bio);
  lua_pushstring(L, kind);
  lua_pushinteger(L, bits);
  return 3;
}

static int certificate_signature(lua_State *L) {
  int kind = X509_get_signature_nid(self(L)->x509);
  lua_pushstring(L, kind == NID_undef ? NULL : OBJ_nid2sn(kind));
  return 1;
}

/* ---- who has issued it ---------------------------------------------------------------------------------------- */

static int verify(X509_STORE *store, X509 *x509, STACK_OF(X509) * between) {
  X509_STORE_CTX *check = X509_STORE_CTX_new();
  int result = X509_V_ERR_OUT_OF_MEM;
  if (check && X509_STORE_CTX_init(check, store, x509, between)) {
    bool good = X509_verify_cert(check) == 1;
    result = good ? X509_V_OK : X509_STORE_CTX_get_error(check);
  }
  X509_STORE_CTX_free(check);
  return result;
}

/* root:issued(certificate, ...) -> whether it has issued the certificate, by way of the others | nil, text. */
static int certificate_issued(lua_State *L) {
  int count = lua_gettop(L);
  for (int i = 1; i <= count || i <= 2; i++) at(L, i);
  X509_STORE *store = X509_STORE_new();
  STACK_OF(X509) *between = sk_X509_new_null();
  for (int i = 3; between && i <= count; i++) sk_X509_push(between, at(L, i)->x509);
  int result = X509_V_ERR_OUT_OF_MEM;
  if (store && between && X509_STORE_add_cert(store, self(L)->x509)) result = verify(store, at(L, 2)->x509, between);
  sk_X509_free(between);
  X509_STORE_free(store);
  ERR_clear_error();
  if (result == X509_V_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, X509_verify_cert_error_string(result));
  return 2;
}

/* loadcertificate(pem) -> certificate | nil, text. */
static int load(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  BIO *bio = BIO_new_mem_buf(text, (int)size);
  X509 *x509 = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
  BIO_free(bio);
  if (x509) {
    lx509_push(L, x509);
    X509_free(x509);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, ERR_reason_error_string(ERR_peek_error()));
  ERR_clear_error();
  return 2;
}

void lx509_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"subject", certificate_subject},       {"issuer", certificate_issuer},
      {"extensions", certificate_extensions}, {"setencode", certificate_setencode},
      {"serial", certificate_serial},         {"notbefore", certificate_notbefore},
      {"notafter", certificate_notafter},     {"validat", certificate_validat},
      {"digest", certificate_digest},         {"pem", certificate_pem},
      {"pubkey", certificate_pubkey},         {"getsignaturename", certificate_signature},
      {"issued", certificate_issued},         {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__gc", certificate_free}, {"__close", certificate_free}, {"__tostring", certificate_text}, {NULL, NULL}};
  luaL_newmetatable(L, METATABLE);
  luaL_setfuncs(L, meta, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, load);
  lua_setfield(L, -2, "loadcertificate");
}
