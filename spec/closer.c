/* SPDX-License-Identifier: MIT
 * closer SCRIPT THREADS ROUNDS [SIGNAL]: a host that opens a Lua state, runs the script and closes it, again and again,
 * in so many threads at once (0: in the main thread), while signals arrive that braid answers; then some more of them,
 * or SIGNAL, when no state is left. Prints "ok" when it has survived. For spec/regress/closed_state_spec.lua. */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 16 };

static const char *script;
static long rounds;
static atomic_int running;

static void *cycle(void *ignored) {
  for (long i = 0; i < rounds; i++) {
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    if (luaL_dofile(L, script)) fprintf(stderr, "%s\n", lua_tostring(L, -1));
    lua_close(L);
  }
  running--;
  return ignored;
}

int main(int count, char **words) {
  pthread_t threads[MOST];
  if (count < 4) return 2;
  script = words[1];
  rounds = atol(words[3]);
  int wanted = atoi(words[2]);
  running = wanted > 0 ? wanted : 1;
  for (int i = 0; i < wanted && i < MOST; i++) pthread_create(&threads[i], NULL, cycle, NULL);
  if (wanted == 0) cycle(NULL);
  while (running > 0) {
    for (int i = 0; i < wanted; i++) pthread_kill(threads[i], SIGURG);
    raise(SIGURG);
    usleep(1000);
  }
  for (int i = 0; i < wanted; i++) pthread_join(threads[i], NULL);
  raise(SIGURG);
  raise(count > 4 ? atoi(words[4]) : SIGXFSZ);
  puts("ok");
  return 0;
}
