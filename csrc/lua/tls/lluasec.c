/* SPDX-License-Identifier: MIT
 * What LuaSec's interface needs of OpenSSL and our streams do not: rules that are set on a finished context, and facts
 * of a connection. Contexts and connections come as pointers from lua/io/ltls.c, whose values the caller holds. The
 * state's own thread; nothing blocks. */
#include <lauxlib.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/tls/connection.h"
#include "lua/tls/ltlsopen.h"
#include "lua/tls/lx509.h"

static SSL *ssl_at(lua_State *L, int index) {
  luaL_checktype(L, index, LUA_TLIGHTUSERDATA);
  return ((struct braid_tls *)lua_touserdata(L, index))->ssl;
}

/* The names that LuaSec has for OpenSSL's options. */
static const struct {
  const char *name;
  uint64_t bits;
} options[] = {
    {"no_extended_master_secret", SSL_OP_NO_EXTENDED_MASTER_SECRET},
    {"cleanse_plaintext", SSL_OP_CLEANSE_PLAINTEXT},
    {"legacy_server_connect", SSL_OP_LEGACY_SERVER_CONNECT},
    {"enable_ktls", SSL_OP_ENABLE_KTLS},
    {"tlsext_padding", SSL_OP_TLSEXT_PADDING},
    {"safari_ecdhe_ecdsa_bug", SSL_OP_SAFARI_ECDHE_ECDSA_BUG},
    {"ignore_unexpected_eof", SSL_OP_IGNORE_UNEXPECTED_EOF},
    {"allow_client_renegotiation", SSL_OP_ALLOW_CLIENT_RENEGOTIATION},
    {"disable_tlsext_ca_names", SSL_OP_DISABLE_TLSEXT_CA_NAMES},
    {"allow_no_dhe_kex", SSL_OP_ALLOW_NO_DHE_KEX},
    {"dont_insert_empty_fragments", SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS},
    {"no_query_mtu", SSL_OP_NO_QUERY_MTU},
    {"cookie_exchange", SSL_OP_COOKIE_EXCHANGE},
    {"no_ticket", SSL_OP_NO_TICKET},
    {"cisco_anyconnect", SSL_OP_CISCO_ANYCONNECT},
    {"no_session_resumption_on_renegotiation", SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION},
    {"no_compression", SSL_OP_NO_COMPRESSION},
    {"allow_unsafe_legacy_renegotiation", SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION},
    {"no_encrypt_then_mac", SSL_OP_NO_ENCRYPT_THEN_MAC},
    {"enable_middlebox_compat", SSL_OP_ENABLE_MIDDLEBOX_COMPAT},
    {"prioritize_chacha", SSL_OP_PRIORITIZE_CHACHA},
    {"cipher_server_preference", SSL_OP_CIPHER_SERVER_PREFERENCE},
    {"tls_rollback_bug", SSL_OP_TLS_ROLLBACK_BUG},
    {"no_anti_replay", SSL_OP_NO_ANTI_REPLAY},
    {"no_renegotiation", SSL_OP_NO_RENEGOTIATION},
    {"cryptopro_tlsext_bug", SSL_OP_CRYPTOPRO_TLSEXT_BUG},
    {"all", SSL_OP_ALL},
    {"single_ecdh_use", SSL_OP_SINGLE_ECDH_USE},
    {"single_dh_use", SSL_OP_SINGLE_DH_USE},
    {"ephemeral_rsa", SSL_OP_EPHEMERAL_RSA},
    {"no_sslv2", SSL_OP_NO_SSLv2},
    {"microsoft_sess_id_bug", SSL_OP_MICROSOFT_SESS_ID_BUG},
    {"netscape_challenge_bug", SSL_OP_NETSCAPE_CHALLENGE_BUG},
    {"netscape_reuse_cipher_change_bug", SSL_OP_NETSCAPE_REUSE_CIPHER_CHANGE_BUG},
    {"sslref2_reuse_cert_type_bug", SSL_OP_SSLREF2_REUSE_CERT_TYPE_BUG},
    {"microsoft_big_sslv3_buffer", SSL_OP_MICROSOFT_BIG_SSLV3_BUFFER},
    {"msie_sslv2_rsa_padding", SSL_OP_MSIE_SSLV2_RSA_PADDING},
    {"ssleay_080_client_dh_bug", SSL_OP_SSLEAY_080_CLIENT_DH_BUG},
    {"tls_d5_bug", SSL_OP_TLS_D5_BUG},
    {"tls_block_padding_bug", SSL_OP_TLS_BLOCK_PADDING_BUG},
    {"pkcs1_check_1", SSL_OP_PKCS1_CHECK_1},
    {"pkcs1_check_2", SSL_OP_PKCS1_CHECK_2},
    {"netscape_ca_dn_bug", SSL_OP_NETSCAPE_CA_DN_BUG},
    {"netscape_demo_cipher_change_bug", SSL_OP_NETSCAPE_DEMO_CIPHER_CHANGE_BUG},
    {"no_sslv3", SSL_OP_NO_SSLv3},
    {"no_tlsv1", SSL_OP_NO_TLSv1},
    {"no_tlsv1_1", SSL_OP_NO_TLSv1_1},
    {"no_tlsv1_2", SSL_OP_NO_TLSv1_2},
    {"no_tlsv1_3", SSL_OP_NO_TLSv1_3},
    {"no_dtlsv1", SSL_OP_NO_DTLSv1},
    {"no_dtlsv1_2", SSL_OP_NO_DTLSv1_2},
    {"no_ssl_mask", SSL_OP_NO_SSL_MASK},
    {"no_dtls_mask", SSL_OP_NO_DTLS_MASK},
};

/* options() -> name -> bits. */
static int list_options(lua_State *L) {
  lua_newtable(L);
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    lua_pushinteger(L, (lua_Integer)options[i].bits);
    lua_setfield(L, -2, options[i].name);
  }
  return 1;
}

/* ---- contexts ------------------------------------------------------------------------------------------------- */

/* A certificate that is refused does not end the handshake: getpeerverification tells of it. */
static int go_on(int good, X509_STORE_CTX *store) {
  (void)good, (void)store;
  return 1;
}

static bool has_field(lua_State *L, const char *name) {
  return lua_getfield(L, 2, name) != LUA_TNIL; /* the value stays on the stack */
}

static const char *set_rules(lua_State *L, SSL_CTX *ctx) {
  X509_VERIFY_PARAM *rules = SSL_CTX_get0_param(ctx);
  lua_settop(L, 2);
  if (has_field(L, "options")) SSL_CTX_set_options(ctx, (uint64_t)lua_tointeger(L, -1));
  if (has_field(L, "depth")) SSL_CTX_set_verify_depth(ctx, (int)lua_tointeger(L, -1));
  if (has_field(L, "flags")) X509_VERIFY_PARAM_set_flags(rules, (unsigned long)lua_tointeger(L, -1));
  if (has_field(L, "mode")) SSL_CTX_set_verify(ctx, (int)lua_tointeger(L, -1), SSL_CTX_get_verify_callback(ctx));
  if (has_field(L, "go_on") && lua_toboolean(L, -1)) SSL_CTX_set_verify(ctx, SSL_CTX_get_verify_mode(ctx), go_on);
  if (has_field(L, "any_purpose") && lua_toboolean(L, -1)) X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_ANY);
  if (has_field(L, "nobody") && lua_toboolean(L, -1)) {
    X509_STORE *empty = X509_STORE_new();
    if (empty) SSL_CTX_set_cert_store(ctx, empty);
  }
  if (has_field(L, "dh")) SSL_CTX_set_dh_auto(ctx, (int)lua_toboolean(L, -1));
  if (has_field(L, "curves") && SSL_CTX_set1_groups_list(ctx, lua_tostring(L, -1)) != 1) return "curves";
  return NULL;
}

/* adapt(context, rules) -> true | nil, the name of the rule that could not be set. Rules: options and flags (bits of
 * OpenSSL), depth, mode (of verification), go_on, any_purpose, nobody (is trusted), dh, curves. */
static int adapt(lua_State *L) {
  luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
  luaL_checktype(L, 2, LUA_TTABLE);
  const struct braid_tls_context *context = lua_touserdata(L, 1);
  for (unsigned i = 0; i < context->identity_count; i++) {
    const char *failed = set_rules(L, context->identities[i]);
    ERR_clear_error();
    if (!failed) continue;
    lua_pushnil(L);
    lua_pushstring(L, failed);
    return 2;
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- connections ---------------------------------------------------------------------------------------------- */

/* facts(connection) -> description of the cipher, its bits, the algorithm's, the version, what is wrong with the peer's
 * certificate or nil. */
static int facts(lua_State *L) {
  char text[256] = "";
  const SSL *ssl = ssl_at(L, 1);
  const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
  int most = 0, bits = cipher ? SSL_CIPHER_get_bits(cipher, &most) : 0;
  if (cipher) SSL_CIPHER_description(cipher, text, sizeof text);
  lua_pushstring(L, text);
  lua_pushinteger(L, bits);
  lua_pushinteger(L, most);
  lua_pushstring(L, SSL_get_version(ssl));
  long result = SSL_get_verify_result(ssl);
  lua_pushstring(L, result == X509_V_OK ? NULL : X509_verify_cert_error_string(result));
  return 5;
}

/* certificate(connection, n) -> the peer's, or the n-th behind it, from 0 on | nil. */
static int certificate(lua_State *L) {
  const SSL *ssl = ssl_at(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
  int skipped = SSL_is_server(ssl) ? 1 : 0; /* there the chain is without the peer's own */
  bool there = chain && n >= skipped && n - skipped < sk_X509_num(chain);
  if (n == 0)
    lx509_push(L, SSL_get0_peer_certificate(ssl));
  else
    lx509_push(L, there ? sk_X509_value(chain, (int)n - skipped) : NULL);
  return 1;
}

/* want(connection) -> "read", "write" or "nothing": for what the last call has waited. */
static int want(lua_State *L) {
  const SSL *ssl = ssl_at(L, 1);
  bool writes = braid_tls_transport_pending(&braid_tls_of(ssl)->transport) > 0;
  lua_pushstring(L, writes ? "write" : SSL_want(ssl) == SSL_READING ? "read" : "nothing");
  return 1;
}

/* pending(connection) -> whether it has received bytes that the socket does not show any more. */
static int pending(lua_State *L) {
  lua_pushboolean(L, SSL_has_pending(ssl_at(L, 1)));
  return 1;
}

/* finished(connection, peer) -> the message that ended the handshake. */
static int finished(lua_State *L) {
  char message[EVP_MAX_MD_SIZE];
  const SSL *ssl = ssl_at(L, 1);
  size_t size = lua_toboolean(L, 2) ? SSL_get_peer_finished(ssl, message, sizeof message)
                                    : SSL_get_finished(ssl, message, sizeof message);
  if (size == 0) return 0;
  lua_pushlstring(L, message, size);
  return 1;
}

/* export(connection, label, size, context or nil) -> key material | nil, text. */
static int export(lua_State *L) {
  size_t label_size, context_size = 0;
  SSL *ssl = ssl_at(L, 1);
  const char *label = luaL_checklstring(L, 2, &label_size);
  lua_Integer size = luaL_checkinteger(L, 3);
  const char *context = luaL_optlstring(L, 4, NULL, &context_size);
  luaL_argcheck(L, size >= 0 && size <= 65536, 3, "a size expected");
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, (size_t)size);
  int made = SSL_export_keying_material(ssl, (unsigned char *)out, (size_t)size, label, label_size,
                                        (const unsigned char *)context, context_size, context != NULL);
  ERR_clear_error();
  luaL_pushresultsize(&buffer, (size_t)size);
  if (made == 1) return 1;
  lua_pushnil(L);
  lua_pushliteral(L, "error exporting keying material");
  return 2;
}

/* curves() -> set of the names of elliptic curves. */
static int curves(lua_State *L) {
  size_t count = EC_get_builtin_curves(NULL, 0);
  EC_builtin_curve *list = lua_newuserdatauv(L, (count + 1) * sizeof *list, 0);
  EC_get_builtin_curves(list, count);
  lua_newtable(L);
  for (size_t i = 0; i < count; i++) {
    const char *name = OBJ_nid2sn(list[i].nid);
    if (!name) continue;
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, name);
  }
  return 1;
}

void lluasec_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"adapt", adapt}, {"facts", facts},     {"certificate", certificate}, {"finished", finished}, {"export", export},
      {"want", want},   {"pending", pending}, {"options", list_options},    {"curves", curves},     {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
