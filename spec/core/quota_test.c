/* SPDX-License-Identifier: MIT
 * Quotas of control groups, in a folder that looks like a system. */
#include "core/base/quota.h"

#include <sys/stat.h>

#include "check.h"

static char root[] = "/tmp/braid-quota-XXXXXX";

/* Makes the folders of a file, and the file. */
static void put(const char *name, const char *text) {
  char path[512];
  int length = snprintf(path, sizeof path, "%s%s", root, name);
  for (char *at = path + sizeof root; at < path + length; at++) {
    if (*at != '/') continue;
    *at = '\0';
    mkdir(path, 0700);
    *at = '/';
  }
  FILE *file = fopen(path, "w");
  check(file != NULL);
  if (!file) return;
  fputs(text, file);
  fclose(file);
}

static void begin(const char *groups) {
  strcpy(root + sizeof root - 7, "XXXXXX");
  check(mkdtemp(root) != NULL);
  put("/proc/self/cgroup", groups);
}

static void end(double expected) {
  char command[sizeof root + 16];
  double quota = braid_quota(root);
  check(quota == expected);
  snprintf(command, sizeof command, "rm -r %s", root);
  check(system(command) == 0);
}

static void version_2(void) {
  begin("0::/a/b\n");
  put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  end(0);
  begin("0::/a/b\n");
  put("/sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
  end(1.5);
}

static void the_least_on_the_way_up(void) {
  begin("0::/a/b/c\n");
  put("/sys/fs/cgroup/a/b/c/cpu.max", "300000 100000\n");
  put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  put("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
  end(2);
}

static void version_1(void) {
  begin("4:memory:/m\n2:cpu,cpuacct:/docker/x\n");
  put("/sys/fs/cgroup/memory/m/cpu.max", "1 100000\n");
  put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "50000\n");
  put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
  put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  end(0.5);
}

static void a_container_sees_its_own(void) {
  begin("1:cpu:/host/only\n0::/\n");
  put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000\n");
  put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  end(4);
}

static void none(void) {
  begin("0::/\n");
  end(0);
  begin("nonsense\n::\n:");
  end(0);
}

CHECK_MAIN({"quota: version 2", version_2}, {"quota: the least on the way up", the_least_on_the_way_up},
           {"quota: version 1", version_1}, {"quota: a container sees its own", a_container_sees_its_own},
           {"quota: none", none})
