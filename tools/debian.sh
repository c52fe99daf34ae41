#!/bin/sh
# SPDX-License-Identifier: MIT
# Brings what is in Debian's archive into a folder, and leaves this machine's own packages alone: apt-get works with lists
# and a state of its own there, so it needs no root. Does nothing when the folder has it already.
# usage: tools/debian.sh packages ARCHITECTURE FOLDER PACKAGE...   unpacks them, and all that they need
#        tools/debian.sh sources FOLDER PACKAGE...                 unpacks each one's source, as it came, into FOLDER/PACKAGE
set -eu

what=$1
shift
architecture=$(dpkg --print-architecture)
if [ "$what" = packages ]; then
  architecture=$1
  shift
fi
folder=$1
shift

[ "$(cat "$folder/.brought" 2>/dev/null)" != "$*" ] || exit 0
rm -rf "$folder"
mkdir -p "$folder/.apt/lists/partial" "$folder/.apt/archives/partial" "$folder/.apt/sources.list.d"
folder=$(cd "$folder" && pwd)
apt=$folder/.apt
: >"$apt/status"

# The machine's own sources, but for those of others than the distribution, which may not have this architecture.
kind=deb
[ "$what" = packages ] || kind=deb-src
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  [ -f "$file" ] && grep -Eq '/(debian|ubuntu|debian-security|ubuntu-ports)/?( |$)' "$file" || continue
  sed -e "s/^deb /$kind /" -e "s/^Types:.*/Types: $kind/" "$file" >"$apt/sources.list.d/${file##*/}"
done

get() {
  apt-get -q -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o APT::Sandbox::User= \
    -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" \
    -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/sources.list.d" "$@"
}
get update

if [ "$what" = packages ]; then
  get install -y --no-install-recommends --download-only "$@"
  for file in "$apt"/archives/*.deb; do dpkg -x "$file" "$folder"; done
  [ -e "$folder/lib" ] || ln -s usr/lib "$folder/lib" # which is no package's, but its base-files'
else
  for package in "$@"; do
    mkdir "$folder/$package"
    (cd "$folder/$package" && get source --tar-only "$package" && tar xf ./*.orig.tar.* --strip-components=1)
  done
fi
rm -rf "$apt"
echo "$*" >"$folder/.brought"
