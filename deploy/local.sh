#!/usr/bin/env bash
# Sets up and runs everything on this machine: see --help.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
for part in common packages postgres build services demo; do
  # shellcheck source-path=SCRIPTDIR source=/dev/null
  . "$ROOT/deploy/lib/$part.sh"
done

DATA=.data
PORT=8080
WORKERS=1
SLOTS=
DEMO=
BUILD=1
PAGE=true

usage() {
  cat <<'END'
Usage: deploy/local.sh [options]

Sets up and runs ML Experiments on this machine: installs the Debian packages that are missing, keeps a private
PostgreSQL, builds, migrates the database, starts the Api and the workers, and stops them all on Ctrl-C or SIGTERM.

  --demo        fill it with digits that the project draws itself, and run 27 small experiments
  --data DIR    where everything is kept: database, images, weights, logs, programs (default: .data)
  --port N      the page's and the API's port on 127.0.0.1 (default: 8080)
  --workers N   how many worker processes (default: 1)
  --slots N     how many experiments a worker trains at the same time (default: one per core)
  --no-page     without the page, which Node.js builds; the API, Swagger UI and all the rest are there
  --no-build    run what was built before
  --help        this text

Two of them run side by side with different --data and --port. DIR/run has the process ids (api.pid, worker-1.pid, ...),
DIR/logs the logs. A process that ends later is restarted. If a process can't start, the script prints the reason, stops
everything and exits with status 1.

With Security__ApiKey in the environment, the service asks for that key. Other settings are read from there, too.
END
}

read_arguments() {
  while (($# > 0)); do
    case $1 in
      --demo) DEMO=1 ;;
      --no-page) PAGE=false ;;
      --no-build) BUILD= ;;
      --help | -h)
        usage
        exit 0
        ;;
      --data | --port | --workers | --slots)
        if (($# < 2)) || [[ -z $2 ]]; then
          misused "$1 takes a value."
        fi
        set_option "$1" "$2"
        shift
        ;;
      --data=* | --port=* | --workers=* | --slots=*) set_option "${1%%=*}" "${1#*=}" ;;
      *) misused "Unknown option '$1'." ;;
    esac
    shift
  done
  SLOTS=${SLOTS:-$(nproc)}
  whole_number --port "$PORT" 1 65535
  whole_number --workers "$WORKERS" 1 64
  whole_number --slots "$SLOTS" 1 256
  DATA=$(realpath -m -- "$DATA")
}

set_option() {
  case $1 in
    --data) DATA=$2 ;;
    --port) PORT=$2 ;;
    --workers) WORKERS=$2 ;;
    --slots) SLOTS=$2 ;;
  esac
}

# Makes the data folder ours for as long as we run.
take_data_folder() {
  local error
  if [[ -d $DATA/run && ! -O $DATA/run ]]; then
    fail "$DATA belongs to $(stat -c %U "$DATA/run"): run this as that user, or choose another folder with --data."
  fi
  # The database's user must pass through; nobody else has any business in there.
  if ! error=$({ passable_folder "$DATA" && mkdir -p "$DATA"/{run,logs,blobs,scratch} && chmod 700 "$DATA"/{run,logs,blobs,scratch}; } 2>&1); then
    fail "$DATA can't be used: ${error%%$'\n'*}. Choose another folder with --data."
  fi
  exec 9>>"$DATA/run/lock"
  if ! flock -n 9; then
    fail "Already running on $DATA (process $(cat "$DATA/run/local.pid" 2>/dev/null || echo unknown)). Choose another folder with --data, and another --port."
  fi
  echo "$$" >"$DATA/run/local.pid"
}

start_everything() {
  local number log=$DATA/logs/migrate.log
  # What a killed predecessor left: told apart from strangers by the mark in their environment.
  end_marked "$(service_mark)" 35
  rm -f "$DATA"/run/{api,worker-*}.pid
  if port_taken "$PORT"; then
    fail "Port $PORT of 127.0.0.1 is taken by another program. Choose another one with --port."
  fi

  bound_log "$DATA/logs/postgres.log"
  pg_start "$DATA/database" "$DATA/logs/postgres.log"
  pg_database mlexperiments
  ConnectionStrings__Database=$(pg_connection mlexperiments)
  export ConnectionStrings__Database
  export Blobs__Folder=$DATA/blobs

  if ! run_logged "$log" env -C "$DATA/app/Api" dotnet MlExperiments.Api.dll migrate; then
    fail "The database can't be migrated: $(reason_in "$log" || echo "the command failed.") (log: $log)"
  fi
  add_service api
  for ((number = 1; number <= WORKERS; number++)); do
    add_service "worker-$number"
  done
  wait_ready
}

look_after_everything() {
  local name
  while true; do
    pause 1
    if ! alive "$PG_PID"; then
      say "PostgreSQL ended (log: $DATA/logs/postgres.log). It starts again."
      pg_start "$DATA/database" "$DATA/logs/postgres.log"
    fi
    for name in "${SERVICES[@]}"; do
      look_after "$name"
      bound_service_log "$name"
    done
  done
}

# Runs at every end of the script: workers first (they finish their step and write a checkpoint), then the Api, then
# the database that both of them use.
stop_everything() {
  local status=$?
  trap 'HURRY=1' INT TERM HUP
  set +e
  end_task
  # After a failure its reason stays the last line; after a signal (128 and more) there is none.
  if ((${#SERVICES[@]} > 0 && (status == 0 || status > 128))); then
    say "Stopping ..."
  fi
  stop_all_services
  end_marked "$(service_mark)" 5
  pg_stop
  rm -f "$DATA/run/local.pid"
  exit "$status"
}

main() {
  local started
  heed_interrupts "$@"
  read_arguments "$@"
  take_data_folder
  # A reader of our output that leaves (a closed pipe) must not end us half way.
  trap '' PIPE
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  trap stop_everything EXIT

  need_dotnet "$ROOT"
  if [[ -n $BUILD && $PAGE == true ]] && ! has_npm; then
    # On a fresh machine, apt takes as long for Node.js as the compiler for the programs. Without ca-certificates this
    # fails, and is made up for below.
    start_publish "$ROOT" "$DATA" false
  fi
  need_packages
  if [[ -n $BUILD ]]; then
    if [[ $PAGE == true ]] && ! need_node; then
      PAGE=false
    fi
    if [[ -n $TASK_PID ]]; then
      say "Waiting for the programs to be compiled ..."
      wait_for_task || true
    fi
    build_programs "$ROOT" "$DATA" "$PAGE"
  elif [[ ! -f $DATA/app/built-from ]]; then
    fail "Nothing is built in $DATA yet: run this once without --no-build."
  fi
  say "Starting PostgreSQL, the Api and $WORKERS worker(s) ..."
  started=$SECONDS
  start_everything
  say "Ready after $((SECONDS - started)) s."
  # From here on, a signal is the ordinary end.
  trap 'exit 0' INT TERM HUP
  if [[ -f $DATA/app/Api/wwwroot/index.html ]]; then
    say "Page:    http://127.0.0.1:$PORT/"
  fi
  say "Swagger: http://127.0.0.1:$PORT/swagger"
  if [[ -n $DEMO ]]; then
    fill_demo "$DATA" || complain "The demo is incomplete; everything else runs. Run it again with --demo to complete it."
  fi
  say "Running $WORKERS worker(s) of $SLOTS slot(s). Logs: $DATA/logs. Ctrl-C stops everything."
  look_after_everything
}

main "$@"
