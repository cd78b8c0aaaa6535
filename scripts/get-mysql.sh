#!/usr/bin/env bash
# get-mysql.sh [DIR] - unpack a real MySQL 9.7 (server, clients, router) for this user.
#
# Nothing is installed and no root is needed: Debian's packages are downloaded with apt (which checks their
# signatures and sums against the archive keyring) and unpacked below DIR together with the C library they were
# built for. DIR/bin/{mysqld,mysql,mysqldump,mysqladmin,mysqlrouter,...} start them from there.
#
#   DIR                    where to; default ${XDG_CACHE_HOME:-~/.cache}/serval/mysql
#   SERVAL_DEBIAN_MIRROR   a Debian archive to use instead of the one this machine already uses
#   SERVAL_DEBIAN_SUITE    the suite to take the packages from; default sid
#
# Running it again does nothing once it has succeeded; two at a time wait for each other.
set -euo pipefail

readonly packages=(mysql-server-core mysql-client-core mysql-router)
readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg
suite=${SERVAL_DEBIAN_SUITE:-sid}
dir=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/serval/mysql}

say() { printf 'get-mysql: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

works() { [ -e "$dir/complete" ] && "$dir/bin/mysqld" --version >/dev/null 2>&1; }

require_tools() {
  local tool missing=()
  for tool in apt-get dpkg dpkg-deb tar flock; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [ ${#missing[@]} -eq 0 ] || die "needs ${missing[*]} (Debian or Ubuntu); elsewhere, install MySQL 8.4 or newer and set SERVAL_MYSQL_HOME to the folder above its bin/mysqld"
  [ -r "$keyring" ] || die "needs $keyring: apt-get install debian-archive-keyring"
}

# The archive this machine downloads from already, found without network or root.
find_mirror() {
  if [ -n "${SERVAL_DEBIAN_MIRROR:-}" ]; then
    printf '%s\n' "$SERVAL_DEBIAN_MIRROR"
    return
  fi
  local lists; lists=$(mktemp -d)
  mkdir -p "$lists/partial"
  apt-get update --print-uris -oDir::State::Lists="$lists" 2>/dev/null |
    sed -n "s,^'\([^']*\)/dists/.*,\1,p" | grep -E '/debian/?$' | head -n 1 || true
  rm -rf "$lists"
}

# One apt of our own: its lists, cache and (empty) idea of what is installed live in $apt.
private_apt() {
  apt-get -q -y -oDir::State="$apt" -oDir::State::Lists="$apt/lists" -oDir::State::status="$apt/status" \
    -oDir::Cache="$apt/cache" -oDir::Etc::sourcelist="$apt/serval.sources" -oDir::Etc::sourceparts=/nonexistent \
    -oDir::Etc::preferences=/nonexistent -oDir::Etc::preferencesparts=/nonexistent \
    -oAPT::Sandbox::User="$(id -un)" -oAPT::Install-Recommends=false -oAcquire::Languages=none -oAcquire::Retries=3 \
    -oAcquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false -oDpkg::Use-Pty=0 "$@" </dev/null >>"$apt/log" 2>&1 ||
    { tail -n 20 "$apt/log" >&2; die "apt-get ${*: -1} failed; the whole log is $apt/log"; }
}

download() {
  mkdir -p "$apt"/{lists/partial,cache/archives/partial}
  : >"$apt/status"
  : >"$apt/log"
  cat >"$apt/serval.sources" <<EOF
Types: deb
URIs: $mirror
Suites: $suite
Components: main
Architectures: $arch
Signed-By: $keyring
EOF
  private_apt update
  private_apt install --download-only "${packages[@]}"
}

unpack() {
  local root=$dir/root.part name deb link
  rm -rf "$root"
  for link in bin sbin lib lib64; do # these packages expect a merged /usr
    mkdir -p "$root/usr/$link"
    ln -s "usr/$link" "$root/$link"
  done
  for deb in "$apt"/cache/archives/*.deb; do
    name=${deb##*/}
    case ${name%%_*} in # wanted only by installation scripts, which are not run
      adduser | bash | coreutils | debconf* | dpkg | init-system-helpers | libpam* | libperl* | login* | passwd | perl* | tar) continue ;;
    esac
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink --no-same-owner \
      --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale'
  done
  rm -rf "$dir/root"
  mv "$root" "$dir/root"
}

# A starter runs a program with the loader and libraries unpacked beside it.
starter() { # NAME PROGRAM [FIRST ARGUMENTS]
  local name=$1; shift
  { printf '#!/bin/sh\nexec %q --library-path %q' "$loader" "$libraries"
    printf ' %q' "$@"
    printf ' "$@"\n'; } >"$dir/bin/$name"
  chmod +x "$dir/bin/$name"
}

write_starters() {
  local root=$dir/root triplet program
  case $arch in
    amd64) triplet=x86_64-linux-gnu loader=$root/usr/lib64/ld-linux-x86-64.so.2 ;;
    arm64) triplet=aarch64-linux-gnu loader=$root/usr/lib/ld-linux-aarch64.so.1 ;;
    *) die "no MySQL packages known for $arch" ;;
  esac
  [ -e "$loader" ] || loader=$root/usr/lib/$triplet/${loader##*/}
  [ -e "$loader" ] || die "the packages brought no dynamic loader"
  libraries=$root/usr/lib/$triplet:$root/usr/lib/mysql/private:$root/usr/lib/mysql-router:$root/usr/lib/$triplet/mysqlrouter
  rm -rf "$dir/bin"; mkdir "$dir/bin"
  for program in "$root"/usr/bin/mysql*; do
    if [ "$(head -c 4 "$program" | tail -c 3)" = ELF ]; then starter "${program##*/}" "$program"; fi
  done
  # mysqld reads an option file only where its first argument says so; behind that it must be told where it lives.
  cat >"$dir/bin/mysqld" <<EOF
#!/bin/sh
case "\${1:-}" in
  --no-defaults | --defaults-file=* | --defaults-extra-file=*) first=\$1; shift ;;
  *) first=--no-defaults ;;
esac
exec $(printf '%q --library-path %q %q' "$loader" "$libraries" "$root/usr/sbin/mysqld") "\$first" \\
  --basedir=$(printf %q "$root/usr") --lc-messages-dir=$(printf %q "$root/usr/share/mysql") \\
  --character-sets-dir=$(printf %q "$root/usr/share/mysql/charsets") --plugin-dir=$(printf %q "$root/usr/lib/mysql/plugin") \\
  --secure-file-priv=NULL "\$@"
EOF
  chmod +x "$dir/bin/mysqld"
}

if works; then exit 0; fi
require_tools
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
exec 9>"$dir/lock"
flock -w 600 9 || die "another run holds $dir/lock for ten minutes"
if works; then exit 0; fi

apt=$dir/apt
arch=$(dpkg --print-architecture)
mirror=$(find_mirror)
[ -n "$mirror" ] || die "apt names no Debian archive on this machine: set SERVAL_DEBIAN_MIRROR to one"
say "downloading MySQL from Debian $suite into $dir (about 90 MB, once)"
download
unpack
write_starters
version=$("$dir/bin/mysqld" --version) || die "the unpacked mysqld does not start"
for program in mysql mysqldump mysqladmin mysqlrouter; do
  "$dir/bin/$program" --version >/dev/null || die "the unpacked $program does not start"
done
rm -rf "$apt"
printf '%s\n' "$version" >"$dir/complete"
say "ready: ${version#*Ver }"
