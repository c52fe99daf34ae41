/* SPDX-License-Identifier: MIT
 * OpenSSL notes errors in a list of the thread. The oldest one is the cause, the others say who has passed it on. */
#include "core/tls/failure.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

void braid_tls_failure_set(struct braid_tls_failure *failure, enum braid_tls_kind kind, int code, const char *reason) {
  failure->kind = kind;
  failure->code = code;
  snprintf(failure->reason, sizeof failure->reason, "%s", reason);
}

void braid_tls_failure_take(struct braid_tls_failure *failure, const char *what) {
  unsigned long error = ERR_peek_error();
  ERR_clear_error();
  int code = ERR_GET_REASON(error);
  bool system = ERR_SYSTEM_ERROR(error);
  if (!error || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) {
    system = true;
    code = ENOMEM;
  }
  const char *reason = system ? strerror(code) : ERR_reason_error_string(error);
  failure->kind = system ? BRAID_TLS_SYSTEM : BRAID_TLS_REFUSED;
  failure->code = code;
  snprintf(failure->reason, sizeof failure->reason, "%s%s%s", what ? what : "", what ? ": " : "",
           reason ? reason : "OpenSSL gives no reason");
}
