# shellcheck shell=bash
# A private PostgreSQL: in a folder of its own, on a free port of 127.0.0.1, behind a random password, without a
# unix socket (its path may be 107 bytes long at most, which a deep folder exceeds). It never touches another server.
#
# FOLDER/port, FOLDER/password   ours; read at the next start
# FOLDER/data                    the server's, or, where the server's user can't get there, named by FOLDER/elsewhere

PG_USER=postgres # as everywhere; its database is the one a connection without a name gets
PG_PID=
PG_PORT=
PG_PASSWORD=
PG_BIN=
PG_DATA=
PG_AS=() # what runs a command as the server's user

# For one user on a small machine.
PG_SETTINGS=(
  listen_addresses=127.0.0.1
  unix_socket_directories=
  max_connections=100
  shared_buffers=64MB
  max_wal_size=256MB
  wal_level=minimal
  max_wal_senders=0
  max_parallel_workers_per_gather=0
  autovacuum_max_workers=2
  jit=off
  log_min_messages=warning
  log_line_prefix='%m [%p] '
)

# pg_prepare FOLDER: chooses where the data are and who runs the server.
pg_prepare() {
  local folder=$1 owner
  passable_folder "$folder"
  PG_AS=()
  PG_DATA=$folder/data
  if ((EUID == 0)); then
    if ! getent passwd postgres >/dev/null; then
      fail "PostgreSQL refuses to run as root, and the user postgres, who would run it, doesn't exist."
    fi
    PG_AS=(setpriv --reuid=postgres --regid=postgres --init-groups --)
    pg_place "$folder"
  elif [[ -d $PG_DATA && ! -O $PG_DATA ]]; then
    owner=$(stat -c %U "$PG_DATA")
    fail "The database in $PG_DATA belongs to $owner."
  fi
}

# As root: chooses a data folder that the server's user can get to.
pg_place() {
  local folder=$1
  if [[ -s $folder/elsewhere ]]; then
    PG_DATA=$(<"$folder/elsewhere")
  elif ! "${PG_AS[@]}" test -x "$folder"; then
    # For example below /root, which others may not enter. Opening that up isn't ours to do.
    PG_DATA=/var/lib/mlexperiments/$(printf %s "$folder" | sha256sum | cut -c 1-16)/data
    echo "$PG_DATA" >"$folder/elsewhere"
    say "The user postgres may not enter $folder, so the database is in $PG_DATA."
  fi
  passable_folder "${PG_DATA%/*}"
}

# Finds the programs: those of the version that made the data, or the newest.
pg_find_programs() {
  local version=
  if [[ -s $PG_DATA/PG_VERSION ]]; then
    version=$(<"$PG_DATA/PG_VERSION")
  else
    version=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -n | tail -n 1)
  fi
  PG_BIN=/usr/lib/postgresql/$version/bin
  if [[ ! -x $PG_BIN/postgres || ! -x $PG_BIN/initdb ]]; then
    fail "PostgreSQL ${version:-15}'s programs are missing: apt-get install postgresql-${version:-15}."
  fi
}

# pg_init FOLDER LOG [OPTION...]: creates the data unless they exist; whole or not at all, since they get their name last.
pg_init() {
  local folder=$1 log=$2 new=$PG_DATA.new passwords status=0
  shift 2
  if [[ -s $PG_DATA/PG_VERSION ]]; then
    if [[ ! -s $folder/password ]]; then
      fail "The database in $PG_DATA exists, but $folder/password, which opens it, is missing."
    fi
    return
  fi
  (
    umask 077
    od -An -N 24 -tx1 /dev/urandom | tr -d ' \n' >"$folder/password"
  )
  rm -rf "$new"
  mkdir -m 700 "$new"
  # initdb, which may run as another user, reads a copy.
  passwords=$(mktemp)
  cp "$folder/password" "$passwords"
  if ((EUID == 0)); then
    chown postgres: "$new" "$passwords"
  fi
  # From /: a program that may not enter the current folder can't find itself.
  run_logged "$log" "${PG_AS[@]}" env -C / "$PG_BIN/initdb" --pgdata="$new" --username="$PG_USER" --pwfile="$passwords" \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-instructions "$@" || status=$?
  rm -f "$passwords"
  if ((status != 0)); then
    fail "PostgreSQL can't create a database in $PG_DATA: $(reason_in "$log" || echo "initdb ended with status $status.") (log: $log)"
  fi
  mv -T "$new" "$PG_DATA"
}

# The process that postmaster.pid names, if it's really a server on these data.
pg_running() {
  local pid
  { read -r pid <"$PG_DATA/postmaster.pid"; } 2>/dev/null || return 1
  [[ $pid =~ ^[0-9]+$ && /proc/$pid/cwd -ef $PG_DATA ]] && alive "$pid" && echo "$pid"
}

# A server that a killed script left behind is stopped; a postmaster.pid that names nobody, or (after a crash and a
# restart of the machine) some other process, is removed, since the server would refuse to start.
pg_clean_up() {
  local pid
  if pid=$(pg_running); then
    pg_end "$pid"
  fi
  rm -f "$PG_DATA/postmaster.pid"
}

# Fast: ends the sessions, writes everything, stops. If that takes too long, at once: the next start recovers.
pg_end() {
  local pid=$1
  kill -INT "$pid" 2>/dev/null || true
  if ! wait_gone 30 "$pid"; then
    kill -QUIT "$pid" 2>/dev/null || true
    wait_gone 5 "$pid" || true
  fi
}

# pg_launch LOG SETTING...: starts the server as a child of this shell.
# It gets SIGTERM when this shell dies without a word: it then waits for its clients to go before it ends.
pg_launch() {
  local log=$1 setting arguments=()
  shift
  for setting in "${PG_SETTINGS[@]}" "$@"; do
    arguments+=(-c "$setting")
  done
  setsid "${PG_AS[@]}" setpriv --pdeathsig TERM -- env -C / "$PG_BIN/postgres" -D "$PG_DATA" -p "$PG_PORT" "${arguments[@]}" \
    >>"$log" 2>&1 </dev/null 9>&- &
  PG_PID=$!
}

# pg_start FOLDER LOG SETTING...: creates the server in FOLDER if need be, starts it and waits until it answers.
# Sets PG_PID, PG_PORT and PG_PASSWORD.
pg_start() {
  local folder=$1 log=$2 from reason
  shift 2
  pg_prepare "$folder"
  pg_find_programs
  # Data that need not survive a crash need not be flushed either.
  if [[ " $* " == *" fsync=off "* ]]; then
    pg_init "$folder" "$log" --no-sync
  else
    pg_init "$folder" "$log"
  fi
  pg_clean_up
  PG_PASSWORD=$(<"$folder/password")
  # Somebody else may take the port between the look and the start: then there's another one.
  for _ in 1 2 3; do
    PG_PORT=$(cat "$folder/port" 2>/dev/null || true)
    if [[ ! $PG_PORT =~ ^[0-9]+$ ]] || port_taken "$PG_PORT"; then
      PG_PORT=$(free_port)
      echo "$PG_PORT" >"$folder/port"
    fi
    from=$(size_of "$log")
    pg_launch "$log" "$@"
    if pg_wait; then
      return
    fi
    pg_stop
    reason=$(reason_in "$log" "$from") || reason="it did not answer."
    if [[ $reason != *TCP/IP* ]]; then
      break
    fi
    rm -f "$folder/port"
  done
  fail "PostgreSQL can't start in $PG_DATA: $reason (log: $log)"
}

# Waits until it answers (a start after a crash may have to recover first), or has ended.
pg_wait() {
  local deadline=$((SECONDS + 120))
  until "$PG_BIN/pg_isready" -q -h 127.0.0.1 -p "$PG_PORT" -t 2; do
    if ! alive "$PG_PID" || ((SECONDS >= deadline)); then
      return 1
    fi
    sleep 0.1
  done
  # It may be somebody else's server that answered.
  alive "$PG_PID"
}

pg_stop() {
  if [[ -n $PG_PID ]]; then
    pg_end "$PG_PID"
    PG_PID=
  fi
}

# pg_database NAME: creates the database unless it exists.
pg_database() {
  local name=$1 psql
  psql=("$PG_BIN/psql" -h 127.0.0.1 -p "$PG_PORT" -U "$PG_USER" -d postgres -X -q -A -t)
  if [[ -z $(PGPASSWORD=$PG_PASSWORD "${psql[@]}" -c "SELECT 1 FROM pg_database WHERE datname = '$name'") ]]; then
    PGPASSWORD=$PG_PASSWORD "${psql[@]}" -c "CREATE DATABASE \"$name\""
  fi
}

# pg_connection [DATABASE]: the connection string, as Npgsql reads it.
pg_connection() {
  echo "Host=127.0.0.1;Port=$PG_PORT;Username=$PG_USER;Password=$PG_PASSWORD${1:+;Database=$1}"
}
