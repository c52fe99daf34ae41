/* SPDX-License-Identifier: MIT
 * The web server as Lua has it: userdata "braid.web_server". The state's own thread. */
#ifndef BRAID_LSERVER_H
#define BRAID_LSERVER_H

#include "core/web/tls_transport.h"
#include "core/web/web_server.h"
#include "lua/sched/lsched.h"

#define LSERVER_METATABLE "braid.web_server"

/* Lua functions that the server calls. They get the object that was given to server:begin. */
enum lserver_function {
  LSERVER_SELF,   /* that object */
  LSERVER_SERVE,  /* serve(self, number, method, path, query or nil): a task for each request */
  LSERVER_REFUSE, /* refuse(self, number, status): a task for each request that cannot be served */
  LSERVER_FAIL,   /* fail(self, number, task): the task has ended without an answer. A callback */
  LSERVER_ADMIT,  /* admit(self, number, method, path) -> most bytes or nil, streamed. A callback; may be nil */
  LSERVER_TASKS,  /* not a function: the list of tasks, by the index of their exchange, so that they live */
  LSERVER_FUNCTIONS
};

struct lserver {
  struct braid_web_server *server; /* NULL: it is closed */
  struct braid_web_security security;
  struct braid_tls_context *context; /* a reference; NULL: plain */
  struct sched *sched;
  struct scope *scope;              /* tasks of requests are its children; NULL: it has not begun */
  int functions[LSERVER_FUNCTIONS]; /* references in the registry */
  struct braid_buffer fields;       /* of the answer that is being made */
  unsigned busy;                    /* calls of arrival_take in progress */
  bool closing;                     /* it closes when it is not busy any more */
};

/* The server at 1; raises if it is something else, or closed. */
struct lserver *lserver_check(lua_State *L);

/* The exchange with the number at 2, while its connection lives; NULL: it is over, or the server is closed. */
struct braid_exchange *lserver_exchange(lua_State *L);

/* Ends every exchange and closes it; if it is busy, later. */
void lserver_close(struct lserver *lserver);

#endif
