/* SPDX-License-Identifier: MIT
 * What OpenSSL says of a failure, as ours. Any thread; nothing blocks. */
#ifndef BRAID_TLS_FAILURE_H
#define BRAID_TLS_FAILURE_H

#include "core/net/tls.h"

/* Takes the oldest error that OpenSSL has noted in this thread, and empties its list. `what` comes before the reason;
 * NULL: nothing. */
void braid_tls_failure_take(struct braid_tls_failure *failure, const char *what);

void braid_tls_failure_set(struct braid_tls_failure *failure, enum braid_tls_kind kind, int code, const char *reason);

#endif
