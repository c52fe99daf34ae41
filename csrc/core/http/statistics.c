/* SPDX-License-Identifier: MIT
 * What a session does at the moment. */
#include "core/http/statistics.h"

struct braid_http_statistics braid_http_session_count(const struct braid_http_session *session) {
  long busy = 0, waiting = 0;
  for (const struct braid_list *link = session->running.next; link != &session->running; link = link->next) {
    const struct braid_transfer *transfer = braid_container(link, struct braid_transfer, link);
    if (transfer->done) continue;
    if (transfer->patience.connected)
      busy++;
    else
      waiting++;
  }
  long idle = session->sockets - busy; /* streams of HTTP/2 share a connection */
  return (struct braid_http_statistics){.open = session->sockets,
                                        .idle = idle > 0 ? idle : 0,
                                        .waiting = waiting,
                                        .requests = session->requests,
                                        .reused = session->reused};
}
