#!/usr/bin/env bash
# setup.sh WHAT... - install what is missing for the demo and the tests; does nothing where nothing is missing.
#
#   mysql      MySQL 9.7, unpacked into the user's cache without root (get-mysql.sh)
#   mariadb    MariaDB server and clients, by apt; no service is started
#   sysbench   sysbench, by apt
#   pymysql    PyMySQL for the system's python3, by apt
#   engine     mysql or mariadb, whichever is there already; else mysql
#
# apt needs root or sudo without a password; without either this says what to install.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Server programs stand in sbin, which is not in every user's PATH.
has() { PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; }

has_mariadb() { has mariadbd && has mariadb-install-db && has mariadb && has mariadb-dump; }
has_mysql() {
  [ -n "${SERVAL_MYSQL_HOME:-}" ] && [ -x "$SERVAL_MYSQL_HOME/bin/mysqld" ] && return
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/serval/mysql
  [ -e "$cache/complete" ] && "$cache/bin/mysqld" --version >/dev/null 2>&1
}
has_pymysql() {
  local python
  for python in python3 /usr/bin/python3; do
    "$python" -c 'import pymysql' >/dev/null 2>&1 && return
  done
  return 1
}

# apt_install PACKAGE...: with fresh lists where the lists are empty or too old to be served.
apt_install() {
  has apt-get || die "please install by hand (there is no apt-get here): $*"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    { has sudo && sudo -n true 2>/dev/null; } || die "please run as root: apt-get install --no-install-recommends $*"
    as_root=(sudo -n)
  fi
  local log; log=$(mktemp)
  say "installing $*"
  run() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null >>"$log" 2>&1; }
  if run install --no-install-recommends "$@" || { run update && run install --no-install-recommends "$@"; }; then
    rm -f "$log"
    return
  fi
  tail -n 20 "$log" >&2
  die "apt-get could not install $* (whole log: $log)"
}

setup_mariadb() { has_mariadb || apt_install mariadb-server-core mariadb-client; }
setup_mysql() { has_mysql || "$here/get-mysql.sh"; }
setup_sysbench() { has sysbench || apt_install sysbench; }
setup_pymysql() { has_pymysql || apt_install python3 python3-pymysql; }
setup_engine() { has_mysql || has_mariadb || setup_mysql; }

[ $# -gt 0 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2; }
for what in "$@"; do
  case $what in
    mysql | mariadb | sysbench | pymysql | engine) "setup_$what" ;;
    *) die "unknown: $what (mysql, mariadb, sysbench, pymysql, engine)" ;;
  esac
done
