#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs braid and takes it out again. What was installed stands in a list, and exactly that is taken out: files, then
# the folders that are empty. `make install` and `make uninstall` call it; the places come in the environment (see the
# Makefile): DESTDIR, PREFIX, LUADIR, LIBDIR, BINDIR, DATADIR, MANDIR, PCDIR, BASHDIR, ZSHDIR, FISHDIR.
# usage: tools/install.sh install MODULE.so ... | uninstall      (in the root of the tree)
set -eu
umask 022

list=$DESTDIR$DATADIR/braid/installed

# ---- taking out ----------------------------------------------------------------------------------------------------

# The list backwards: a folder comes after what is in it.
uninstall() {
  [ -f "$list" ] || { echo "braid is not installed in $DESTDIR$PREFIX: there is no $list" >&2; return 1; }
  sed '1!G;h;$!d' -- "$list" | while IFS= read -r path; do
    case $path in
      */) rmdir -- "$DESTDIR$path" 2>/dev/null || true ;;
      *) rm -f -- "$DESTDIR$path" ;;
    esac
    if [ "$path" = "$DATADIR/braid/" ]; then rm -f -- "$list" && rmdir -- "$DESTDIR$path" 2>/dev/null || true; fi
  done
  rm -f -- "$list"
}

# ---- installing ----------------------------------------------------------------------------------------------------

# Makes a folder and those above it; tells each one that it has made.
make_folder() {
  [ -d "$DESTDIR$1" ] && return
  (make_folder "$(dirname -- "$1")")
  mkdir -- "$DESTDIR$1"
  printf '%s/\n' "$1"
}

# place MODE FOLDER FILE ...: files of the tree in a folder of the system.
place() {
  mode=$1 folder=$2
  shift 2
  make_folder "$folder" >>"$list"
  install -m "$mode" -t "$DESTDIR$folder" -- "$@"
  for file; do printf '%s/%s\n' "$folder" "${file##*/}" >>"$list"; done
}

# pkg-config reads a backslash before a blank.
pkg_config_path() { printf '%s\n' "$1" | sed 's/[ \\"'\''#$()]/\\&/g'; }

write_pkg_config() {
  make_folder "$PCDIR" >>"$list"
  cat >"$DESTDIR$PCDIR/braid.pc" <<END
luadir=$(pkg_config_path "$LUADIR")
libdir=$(pkg_config_path "$LIBDIR")
bindir=$(pkg_config_path "$BINDIR")
datadir=$(pkg_config_path "$DATADIR/braid")

Name: braid
Description: Concurrency and parallelism for Lua 5.4 behind one interface
Version: $(sed -n 's/.*_VERSION = "braid \([0-9.]*\)".*/\1/p' lua/braid/init.lua)
END
  printf '%s\n' "$PCDIR/braid.pc" >>"$list"
}

install_all() {
  if [ -f "$list" ]; then uninstall; fi
  [ -z "$DESTDIR" ] || mkdir -p -- "$DESTDIR"
  folders=$(make_folder "$DATADIR/braid")
  printf '%s' "$folders${folders:+
}" >"$list"
  find lua/braid -type d | sort | while IFS= read -r folder; do
    place 644 "$LUADIR/${folder#lua/}" "$folder"/*.lua
  done
  place 755 "$LIBDIR/braid" "$@"
  place 755 "$BINDIR" bin/braid
  place 644 "$DATADIR/braid/types" types/braid.lua
  place 644 "$MANDIR/man1" man/braid.1
  place 644 "$MANDIR/man3" man/braid.3
  place 644 "$ZSHDIR" completions/_braid
  place 644 "$FISHDIR" completions/braid.fish
  place 644 "$BASHDIR" completions/braid
  write_pkg_config
}

case $1 in
  install) shift; install_all "$@" ;;
  uninstall) uninstall ;;
  *) echo "usage: tools/install.sh install MODULE.so ... | uninstall" >&2; exit 2 ;;
esac
