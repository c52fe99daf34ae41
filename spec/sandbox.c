/* SPDX-License-Identifier: MIT
 * For spec/regress/sandbox_spec.lua: a seccomp filter, as containers and service managers set it. */
#include <errno.h>
#include <lauxlib.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

int luaopen_sandbox(lua_State *L);

static const struct {
  const char *name;
  int number;
} calls[] = {
    {"clone3", SYS_clone3},
    {"close_range", SYS_close_range},
    {"epoll_pwait2", SYS_epoll_pwait2},
    {"getrandom", SYS_getrandom},
    {"madvise", SYS_madvise},
    {"memfd_create", SYS_memfd_create},
    {"openat2", SYS_openat2},
    {"pidfd_open", SYS_pidfd_open},
    {"pidfd_send_signal", SYS_pidfd_send_signal},
    {"sched_getaffinity", SYS_sched_getaffinity},
    {"sched_setaffinity", SYS_sched_setaffinity},
    {"timer_create", SYS_timer_create},
};

/* deny(reason, call): from now on the system answers this call of this process, and of those it starts, by EPERM or
 * ENOSYS */
static int deny(lua_State *L) {
  int reason = strcmp(luaL_checkstring(L, 1), "EPERM") == 0 ? EPERM : ENOSYS;
  const char *name = luaL_checkstring(L, 2);
  size_t i = 0;
  while (i < sizeof calls / sizeof *calls && strcmp(calls[i].name, name) != 0) i++;
  if (i == sizeof calls / sizeof *calls) return luaL_error(L, "no call %s is known here", name);
  struct sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)reason),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {.len = sizeof steps / sizeof *steps, .filter = steps};
  bool set = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
  lua_pushboolean(L, set);
  return 1;
}

int luaopen_sandbox(lua_State *L) {
  static const luaL_Reg functions[] = {{"deny", deny}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
