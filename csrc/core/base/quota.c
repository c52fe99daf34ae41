/* SPDX-License-Identifier: MIT
 * /proc/self/cgroup names the group's path in each hierarchy. In a container that path may be the host's, which does
 * not exist there: the mounted directory itself is the container's group. So the walk goes up to the mount point. */
#include "core/base/quota.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { NAME = PATH_MAX };

/* Reads the first one or two numbers of a file; returns how many it found. */
static int read_numbers(const char *folder, const char *name, double *first, double *second) {
  char path[NAME];
  if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return 0;
  FILE *file = fopen(path, "re");
  if (!file) return 0;
  int count = fscanf(file, "%lf %lf", first, second);
  fclose(file);
  return count;
}

/* The quota of this one group; 0: none. */
static double quota_of(const char *folder) {
  double quota = 0, period = 0, ignored;
  bool set = read_numbers(folder, "cpu.max", &quota, &period) == 2 ||
             (read_numbers(folder, "cpu.cfs_quota_us", &quota, &ignored) == 1 &&
              read_numbers(folder, "cpu.cfs_period_us", &period, &ignored) == 1);
  return set && quota > 0 && period > 0 ? quota / period : 0;
}

/* Looks at the group at `path` and at each of its parents, up to the mount point. */
static void look_up_from(const char *mount, const char *path, double *least) {
  char folder[NAME];
  size_t top = strlen(mount);
  if (snprintf(folder, sizeof folder, "%s%s", mount, path) >= (int)sizeof folder) return;
  for (char *end = folder + strlen(folder); end; end = strrchr(folder + top, '/')) {
    *end = '\0';
    double quota = quota_of(folder);
    if (quota > 0 && (*least == 0 || quota < *least)) *least = quota;
  }
}

/* A line is "number:controllers:path". In version 2 the controllers are empty. */
static void look_at(const char *root, char *line, double *least) {
  char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
  if (!path) return;
  *path++ = '\0';
  controllers++;
  path[strcspn(path, "\n")] = '\0';
  char mount[NAME];
  snprintf(mount, sizeof mount, ",%s,", controllers);
  bool unified = !*controllers;
  if (!unified && !strstr(mount, ",cpu,")) return;
  const char *places[] = {unified ? "" : "/", controllers, unified ? "/unified" : "/cpu", ""};
  for (int i = 0; i < 4; i += 2) {
    snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s%s", root, places[i], places[i + 1]);
    look_up_from(mount, path, least);
  }
}

double braid_quota(const char *root) {
  char line[NAME];
  double least = 0;
  snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
  FILE *file = fopen(line, "re");
  if (!file) return 0;
  while (fgets(line, sizeof line, file)) look_at(root, line, &least);
  fclose(file);
  return least;
}
