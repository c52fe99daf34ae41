/* SPDX-License-Identifier: MIT
 * What a session does at the moment, for those who watch it. The loop's thread only; does not block. */
#ifndef BRAID_STATISTICS_H
#define BRAID_STATISTICS_H

#include "core/http/transfer.h"

struct braid_http_statistics {
  long open, idle;       /* connections; and those that no request uses */
  long waiting;          /* requests without a connection */
  long requests, reused; /* since the start; those that used an earlier connection */
};

struct braid_http_statistics braid_http_session_count(const struct braid_http_session *session);

#endif
